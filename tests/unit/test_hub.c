// hub, hash: names, places and digests, without any network.
#include "test.h"

#include "base/files.h"
#include "bundle/hub.h"
#include "format/hash.h"

#include <sys/stat.h>
#include <unistd.h>

static char *folder; // made anew for each test

static int setup(void **state) {
  (void)state;
  static char path[64];
  snprintf(path, sizeof path, "/tmp/zaya-hub-XXXXXX");
  folder = mkdtemp(path);
  static const char *const names[] = {
      "HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  setenv("HF_HOME", folder, 1);
  setenv("HOME", folder, 1);
  return folder ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

static void put(const char *relative, const char *text) {
  Buf path = {0};
  zaya_error err = {0};
  assert_true(buf_printf(&path, &err, "%s/%s", folder, relative));
  assert_true(files_make_dirs(path.data, true, &err) && files_write(path.data, text, strlen(text), &err));
  buf_free(&path);
}

static void test_digests(void **state) {
  (void)state;
  char hex[HASH_HEX_MAX];
  zaya_error err = {0};
  Hash *h = hash_new(HASH_SHA256, &err);
  assert_true(hash_add(h, "ab", 2, &err) && hash_add(h, "c", 1, &err) && hash_hex(h, hex, &err));
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_true(hash_reset(h, &err) && hash_hex(h, hex, &err));
  assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  hash_free(h);
  h = hash_new(HASH_SHA1, &err);
  assert_true(hash_add(h, "abc", 3, &err) && hash_hex(h, hex, &err));
  assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
  hash_free(h);
  put("abc", "abc");
  char path[128];
  snprintf(path, sizeof path, "%s/abc", folder);
  assert_true(hash_file(path, hex, &err));
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_false(hash_file(folder, hex, &err));
}

static void test_names(void **state) {
  (void)state;
  static const char *const good[] = {"gpt2", "org/name", "o-r.g/n_a.m-e", "0/1"};
  static const char *const bad[] = {"",     "/",      "a/",   "/a",   "a/b/c", "../a",
                                    "a/..", "a--b/c", "-a/b", "a/b.", "a b/c"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(hub_check_repo(good[i], NULL));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(hub_check_repo(bad[i], NULL));
  assert_true(hub_check_path("a/b.json", NULL) && hub_check_path("..a", NULL) && hub_check_path("a..", NULL));
  static const char *const unsafe[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\nb", "a\\b"};
  for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) assert_false(hub_check_path(unsafe[i], NULL));
}

static void assert_resolves(const char *name, const char *relative) {
  zaya_error err = {0};
  zaya_text dir = {0};
  char expected[256];
  snprintf(expected, sizeof expected, "%s/%s", folder, relative);
  if (!zaya_resolve_model(name, &dir, &err)) fail_msg("%s", err.message);
  assert_string_equal(dir.data, expected);
  zaya_text_free(&dir);
}

static void assert_unresolved(const char *name, const char *words) {
  zaya_error err = {0};
  zaya_text dir = {0};
  assert_false(zaya_resolve_model(name, &dir, &err));
  if (!strstr(err.message, words)) fail_msg("'%s' not in: %s", words, err.message);
  assert_int_equal(dir.len, 0);
  zaya_text_free(&dir);
}

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static void test_resolve(void **state) {
  (void)state;
  assert_unresolved("org/name", "zaya pull org/name");
  assert_unresolved("org/name@v1", "zaya pull org/name --revision v1");
  assert_unresolved("nothing", "no such folder");
  assert_unresolved("./org/name", "no such folder");
  assert_unresolved("../../etc@x", "no such folder");
  assert_unresolved("", "no model given");

  put("hub/models--org--name/snapshots/" COMMIT "/config.json", "{}");
  assert_unresolved("org/name", "no finished download"); // no reference yet
  assert_resolves("org/name@" COMMIT, "hub/models--org--name/snapshots/" COMMIT);
  put("hub/models--org--name/refs/main", COMMIT);
  put("hub/models--org--name/refs/refs/pr/1", COMMIT "\n");
  assert_resolves("org/name", "hub/models--org--name/snapshots/" COMMIT);
  assert_resolves("org/name@refs/pr/1", "hub/models--org--name/snapshots/" COMMIT);
  assert_unresolved("org/name@v2", "zaya pull org/name --revision v2");
  assert_unresolved("org/name@../main", "no such folder");
  put("hub/models--org--name/refs/bad", "../../..");
  assert_unresolved("org/name@bad", "no finished download");

  put("file", "");
  char path[128];
  snprintf(path, sizeof path, "%s/file", folder);
  assert_unresolved(path, "a file; expected the folder");
  snprintf(path, sizeof path, "%s/hub", folder);
  assert_resolves(path, "hub");
}

static void test_folder_wins(void **state) {
  (void)state;
  put("hub/models--org--name/snapshots/" COMMIT "/config.json", "{}");
  put("hub/models--org--name/refs/main", COMMIT);
  put("org/name/config.json", "{}");
  char *before = getcwd(NULL, 0);
  assert_int_equal(chdir(folder), 0);
  zaya_error err = {0};
  zaya_text dir = {0};
  assert_true(zaya_resolve_model("org/name", &dir, &err));
  assert_string_equal(dir.data, "org/name");
  zaya_text_free(&dir);
  assert_int_equal(chdir(before), 0);
  free(before);
}

static void test_places(void **state) {
  (void)state;
  zaya_error err = {0};
  Buf b = {0};
  assert_true(hub_endpoint(NULL, &b, &err));
  assert_string_equal(b.data, "https://huggingface.co");
  buf_clear(&b);
  assert_true(hub_endpoint("http://x/y//", &b, &err));
  assert_string_equal(b.data, "http://x/y");
  buf_clear(&b);
  unsetenv("HF_HOME");
  setenv("HOME", "/h", 1);
  assert_true(hub_repo_dir("org/name", &b, &err));
  assert_string_equal(b.data, "/h/.cache/huggingface/hub/models--org--name");
  buf_clear(&b);
  setenv("XDG_CACHE_HOME", "/x", 1);
  assert_true(hub_cache_dir(&b, &err));
  assert_string_equal(b.data, "/x/huggingface/hub");
  buf_clear(&b);
  setenv("HF_HOME", "/hf", 1);
  assert_true(hub_cache_dir(&b, &err));
  assert_string_equal(b.data, "/hf/hub");
  buf_clear(&b);
  setenv("HF_HUB_CACHE", "/hub", 1);
  assert_true(hub_cache_dir(&b, &err));
  assert_string_equal(b.data, "/hub");
  buf_clear(&b);
  setenv("HF_HOME", folder, 1);
  assert_true(hub_token(NULL, &b, &err));
  assert_int_equal(b.len, 0);
  put("token", "hf_abc\n");
  assert_true(hub_token(NULL, &b, &err));
  assert_string_equal(b.data, "hf_abc");
  buf_clear(&b);
  assert_true(hub_token("", &b, &err)); // none, whatever the file says
  assert_int_equal(b.len, 0);
  buf_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_digests, setup, teardown),
      cmocka_unit_test_setup_teardown(test_names, setup, teardown),
      cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
      cmocka_unit_test_setup_teardown(test_folder_wins, setup, teardown),
      cmocka_unit_test_setup_teardown(test_places, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
