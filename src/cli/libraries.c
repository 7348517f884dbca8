#include "cli/libraries.h"

#include "runtime/wasm/run.h"

#include <archive.h>
#include <curl/curl.h>
#include <histedit.h>
#include <libfyaml.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static const char *version_of_curl(void) {
    return curl_version_info(CURLVERSION_NOW)->version;
}
static const char *version_of_crypto(void) {
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
static const char *version_of_archive(void) {
    const char *text = archive_version_string(); /* "libarchive 3.6.2" */
    const char *space = strrchr(text, ' ');
    return space ? space + 1 : text;
}
static const char *version_of_edit(void) {
    static char text[16];
    snprintf(text, sizeof text, "%d.%d", LIBEDIT_MAJOR, LIBEDIT_MINOR);
    return text;
}

const library_row libraries[] = {
    {"libcurl", version_of_curl},       {"libcrypto", version_of_crypto},
    {"libarchive", version_of_archive}, {"sqlite", sqlite3_libversion},
    {"libedit", version_of_edit},       {"libfyaml", fy_library_version},
    {"wasmtime", wasm_library_version},
};
const size_t library_count = sizeof libraries / sizeof libraries[0];
