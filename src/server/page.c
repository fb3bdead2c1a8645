// page: owns the bytes of the chat page, which cmake/page.cmake makes of src/server/web at build time. Does
// not own routes or HTTP. Depends on nothing.
#include "server/page.h"

#include "server/web_page.h"

const unsigned char *page_bytes(size_t *len) {
  *len = sizeof WEB_PAGE;
  return WEB_PAGE;
}

const char *page_etag(void) { return WEB_PAGE_ETAG; }

const char *page_policy(void) {
  // data: for the icon of the tab, which is in the document.
  return "default-src 'none'; script-src '" WEB_PAGE_SCRIPT_HASH "'; style-src '" WEB_PAGE_STYLE_HASH
         "'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
         "require-trusted-types-for 'script'; trusted-types 'none'";
}
