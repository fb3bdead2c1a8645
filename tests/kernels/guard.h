// guard: buffers whose last byte lies before a page that must not be touched, and whose first byte
// lies behind bytes that must keep their value.
#pragma once

#include <stddef.h>

void *guard_alloc(size_t bytes); // zeroed; ends at an unmapped page. Aborts when memory is short
void guard_check(const void *p); // aborts when a byte in front of the buffer changed
void guard_free_all(void);       // checks and frees every buffer
