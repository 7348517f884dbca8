#include "store/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool url_has_scheme(const char *text) {
    const char *mark = strstr(text, "://");
    if (!mark || mark == text) {
        return false;
    }
    for (const char *c = text; c < mark; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("+-.", *c)) {
            return false;
        }
    }
    return true;
}

/* The part into a fixed field; absent parts are "". */
static bool get_part(CURLU *handle, CURLUPart part, unsigned flags, char *out, size_t size_bytes) {
    char *text = NULL;
    out[0] = '\0';
    if (curl_url_get(handle, part, &text, flags) != CURLUE_OK) {
        return true;
    }
    bool fits = strlen(text) < size_bytes;
    if (fits) {
        memcpy(out, text, strlen(text) + 1);
    }
    curl_free(text);
    return fits;
}

static bool is_loopback(const char *host) {
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) {
        return true;
    }
    unsigned part[4];
    char rest;
    return sscanf(host, "%3u.%3u.%3u.%3u%c", &part[0], &part[1], &part[2], &part[3], &rest) == 4 &&
           part[0] == 127 && part[1] < 256 && part[2] < 256 && part[3] < 256 &&
           strspn(host, "0123456789.") == strlen(host);
}

static tars_status bad_url(const char *text, tars_error *err) {
    char cut[64]; /* no more than the beginning, and none of it before an '@': it may be a password
                   */
    const char *at = strchr(text, '@');
    const char *mark = strstr(text, "://");
    size_t length = at && mark ? (size_t)(mark - text) + 3 : strcspn(text, "@?#");
    snprintf(cut, sizeof cut, "%.*s", (int)(length < sizeof cut ? length : sizeof cut - 1), text);
    error_set(err, TARS_USAGE, "not a usable URL: %s", cut);
    return error_hint(err, "give http://HOST/PATH or https://HOST/PATH, at most %d bytes",
                      URL_BYTES - 1);
}

static tars_status fill(CURLU *handle, const char *text, url *out, tars_error *err) {
    char scheme[32];
    if (!get_part(handle, CURLUPART_SCHEME, 0, scheme, sizeof scheme) ||
        !get_part(handle, CURLUPART_HOST, 0, out->host, sizeof out->host) ||
        !get_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, out->port, sizeof out->port) ||
        !get_part(handle, CURLUPART_URL, 0, out->text, sizeof out->text)) {
        return bad_url(text, err);
    }
    out->is_tls = strcmp(scheme, "https") == 0;
    if (!out->is_tls && strcmp(scheme, "http") != 0) {
        error_set(err, TARS_DENIED, "the scheme %s is not allowed for downloads", scheme);
        return error_hint(err, "give an http or https URL, or the path of a local file");
    }
    if (out->host[0] == '\0') {
        return bad_url(text, err);
    }
    out->is_loopback = is_loopback(out->host);
    curl_url_set(handle, CURLUPART_USER, NULL, 0);
    curl_url_set(handle, CURLUPART_PASSWORD, NULL, 0);
    curl_url_set(handle, CURLUPART_OPTIONS, NULL, 0);
    curl_url_set(handle, CURLUPART_QUERY, NULL, 0);
    curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
    return get_part(handle, CURLUPART_URL, 0, out->shown, sizeof out->shown) ? TARS_OK
                                                                             : bad_url(text, err);
}

tars_status url_parse(const char *text, url *out, tars_error *err) {
    memset(out, 0, sizeof *out);
    CURLU *handle = curl_url();
    if (!handle) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a URL");
    }
    /* foreign schemes are read too, so that the refusal can name them */
    CURLUcode code = strlen(text) < URL_BYTES
                         ? curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME)
                         : CURLUE_BAD_PORT_NUMBER;
    tars_status status = code == CURLUE_OK ? fill(handle, text, out, err) : bad_url(text, err);
    curl_url_cleanup(handle);
    return status;
}

tars_status url_redirect(const url *from, const char *target, url *out, tars_error *err) {
    tars_status status = url_parse(target, out, err);
    if (status != TARS_OK) {
        return status;
    }
    if (out->is_tls != from->is_tls) {
        error_set(err, TARS_DENIED, "%s redirects from %s to %s", from->shown,
                  from->is_tls ? "https" : "http", out->is_tls ? "https" : "http");
        error_where(err, "%s", out->shown);
        return error_hint(err, "if you trust the target, give its URL itself");
    }
    if (out->is_loopback && !from->is_loopback) {
        error_set(err, TARS_DENIED, "%s redirects to this machine itself", from->shown);
        error_where(err, "%s", out->shown);
        return error_hint(err, "if you trust the target, give its URL itself");
    }
    return TARS_OK;
}

static bool is_hf_location(const char *location) {
    int slashes = 0;
    for (const char *c = location; *c != '\0'; c++) {
        slashes += *c == '/';
    }
    size_t length = strlen(location);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-/+=";
    return slashes >= 2 && strspn(location, allowed) == length && location[0] != '/' &&
           location[length - 1] != '/' && !strstr(location, "..") && !strstr(location, "//");
}

tars_status url_of_hf(const char *location, const char *endpoint, char out[URL_BYTES],
                      tars_error *err) {
    if (!is_hf_location(location)) {
        error_set(err, TARS_USAGE, "\"hf:%s\" names no file on Hugging Face", location);
        return error_hint(err, "write hf:ORG/REPO/FILE.gguf");
    }
    if (!endpoint || endpoint[0] == '\0') {
        endpoint = "https://huggingface.co";
    }
    const char *repo = strchr(location, '/') + 1;
    const char *file = strchr(repo, '/') + 1;
    size_t endpoint_length = strlen(endpoint);
    while (endpoint_length > 0 && endpoint[endpoint_length - 1] == '/') {
        endpoint_length--;
    }
    int length = snprintf(out, URL_BYTES, "%.*s/%.*s/resolve/main/%s", (int)endpoint_length,
                          endpoint, (int)(file - 1 - location), location, file);
    if (length < 0 || length >= URL_BYTES) {
        return error_set(err, TARS_USAGE, "the URL of hf:%s is too long", location);
    }
    return TARS_OK;
}
