// The embedded chat page: one document that refers to nothing outside itself, and a policy that lets its own
// blocks run.
#include "server/page.h"
#include "test.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

static const char *find(const char *from, size_t len, const char *what) {
  size_t n = strlen(what);
  for (size_t i = 0; i + n <= len; i++)
    if (!memcmp(from + i, what, n)) return from + i;
  return NULL;
}

static void page_is_one_document(void **state) {
  (void)state;
  size_t len = 0;
  const char *page = (const char *)page_bytes(&len);
  assert_true(len > 10000);
  assert_memory_equal(page, "<!doctype html>", 15);
  assert_null(memchr(page, 0, len));
  const char *refused[] = {
      "src=\"", "<link rel=\"stylesheet\"", "@import", "url(", "\nimport ", "\nexport ", "innerHTML"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    if (find(page, len, refused[i])) fail_msg("the page contains %s", refused[i]);
  }
}

// The policy names exactly the hash of what stands between two tags of the page.
static void check_hash(const char *open, const char *close) {
  size_t len = 0;
  const char *page = (const char *)page_bytes(&len);
  const char *from = find(page, len, open);
  assert_non_null(from);
  from += strlen(open);
  const char *end = find(from, len - (size_t)(from - page), close);
  assert_non_null(end);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256((const unsigned char *)from, (size_t)(end - from), digest);
  char want[64] = "'sha256-";
  EVP_EncodeBlock((unsigned char *)want + 8, digest, sizeof digest);
  strcat(want, "'");
  assert_non_null(strstr(page_policy(), want));
}

static void policy_has_the_hashes(void **state) {
  (void)state;
  check_hash("<script type=\"module\">", "</script>");
  check_hash("<style>", "</style>");
  assert_non_null(strstr(page_policy(), "default-src 'none'"));
  assert_null(strstr(page_policy(), "unsafe"));
}

static void etag_is_quoted(void **state) {
  (void)state;
  const char *etag = page_etag();
  assert_int_equal(etag[0], '"');
  assert_int_equal(etag[strlen(etag) - 1], '"');
  assert_int_equal(strlen(etag), 18);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(page_is_one_document),
      cmocka_unit_test(policy_has_the_hashes),
      cmocka_unit_test(etag_is_quoted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
