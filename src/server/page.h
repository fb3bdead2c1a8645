// page: the chat page as one document, and the headers it is served with.
#ifndef ZAYA_SERVER_PAGE_H
#define ZAYA_SERVER_PAGE_H

#include <stddef.h>

// The document, UTF-8 HTML that refers to nothing outside itself. Lives as long as the program.
const unsigned char *page_bytes(size_t *len);

// Its ETag, with the quotes: changes when the document does.
const char *page_etag(void);

// Value of its Content-Security-Policy header. Only the two inline blocks of this very document may run, by
// their hashes; requests go to this server alone; no string ever becomes markup or code (trusted types).
const char *page_policy(void);

#endif
