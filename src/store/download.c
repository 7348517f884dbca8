#include "store/download.h"

#include "base/sha256.h"
#include "platform/platform.h"
#include "store/part.h"
#include "store/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One call of download_fetch. */
typedef struct transfer {
    const download_options *options;
    url at;          /* where the current request goes */
    part_file *part; /* what was fetched so far */
    CURL *handle;
    bool started;      /* this answer's head was judged */
    bool is_body;      /* this answer's body belongs into the part */
    uint64_t total;    /* bytes of the whole file, 0: unknown */
    uint64_t heard_ns; /* when the last byte or answer came */
    uint64_t heard_length;
    tars_status status; /* first failure within a callback, told in err */
    tars_error *err;
} transfer;

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value != 0 ? value : otherwise;
}

static tars_status fail(transfer *t, tars_status status) {
    t->status = status;
    if (t->err && t->err->where[0] == '\0') {
        error_where(t->err, "%s", t->at.shown);
    }
    return status;
}

static const char *header(transfer *t, const char *name) {
    struct curl_header *found;
    return curl_easy_header(t->handle, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK
               ? found->value
               : NULL;
}

/* Reads "bytes FIRST-LAST/TOTAL" or "bytes * /TOTAL" (without the space). */
static bool read_content_range(const char *text, uint64_t *first, uint64_t *total) {
    unsigned long long a = 0;
    unsigned long long b = 0;
    unsigned long long all = 0;
    if (!text) {
        return false;
    }
    if (sscanf(text, "bytes %19llu-%19llu/%19llu", &a, &b, &all) == 3) {
        *first = a;
        *total = all;
        return b >= a && all > b;
    }
    if (sscanf(text, "bytes */%19llu", &all) == 1) {
        *first = *total = all;
        return true;
    }
    return false;
}

static tars_status check_size(transfer *t) {
    uint64_t limit = t->options->max_bytes;
    uint64_t known = t->total > part_length(t->part) ? t->total : part_length(t->part);
    if (limit != 0 && known > limit) {
        error_set(t->err, TARS_LIMIT, "the file has %llu bytes or more, the limit is %llu",
                  (unsigned long long)known, (unsigned long long)limit);
        error_hint(t->err, "raise the limit if you trust the source");
        return fail(t, TARS_LIMIT);
    }
    return TARS_OK;
}

/* Judges the head of an answer before its first byte is kept. */
static tars_status start_body(transfer *t) {
    long code = 0;
    curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &code);
    t->started = true;
    t->is_body = code == 200 || code == 206;
    if (!t->is_body) {
        return TARS_OK;
    }
    uint64_t first = 0;
    if (code == 206) {
        if (!read_content_range(header(t, "Content-Range"), &first, &t->total) ||
            first != part_length(t->part)) {
            error_set(t->err, TARS_NETWORK, "the server sent another part than it was asked for");
            return fail(t, TARS_NETWORK);
        }
    } else {
        curl_off_t length = -1;
        curl_easy_getinfo(t->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        t->total = length > 0 ? (uint64_t)length : 0;
    }
    tars_status status = check_size(t);
    if (status == TARS_OK && code == 200) {
        status = part_restart(t->part, header(t, "ETag"), t->err);
    }
    if (status == TARS_OK && t->total > first) {
        status = part_reserve(t->part, t->total - first, t->err);
    }
    return status == TARS_OK ? TARS_OK : fail(t, status);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t length = size * count;
    if (!t->started && start_body(t) != TARS_OK) {
        return 0;
    }
    if (!t->is_body) {
        return length; /* the text of an error page is of no use */
    }
    tars_status status = part_append(t->part, bytes, length, t->err);
    if (status == TARS_OK) {
        status = check_size(t);
    }
    if (status != TARS_OK) {
        fail(t, status);
        return 0;
    }
    return length;
}

/* curl's own measure is an average over seconds; this one is a clock since the last byte. */
static bool is_stalled(transfer *t) {
    uint64_t now_ns = platform_clock_ns();
    if (part_length(t->part) != t->heard_length) {
        t->heard_length = part_length(t->part);
        t->heard_ns = now_ns;
    }
    uint64_t limit_ms = or_default(t->options->stall_timeout_ms, DOWNLOAD_STALL_TIMEOUT_MS);
    return now_ns - t->heard_ns > limit_ms * 1000000;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now) {
    transfer *t = user;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    const download_options *o = t->options;
    if (o->progress && !o->progress(o->user, "download", part_length(t->part), t->total)) {
        error_set(t->err, TARS_CANCELLED, "the download was cancelled");
        error_hint(t->err, "the part that arrived is kept: the same command goes on from there");
        fail(t, TARS_CANCELLED);
        return 1;
    }
    if (is_stalled(t)) {
        error_set(t->err, TARS_TIMEOUT, "%s: the server stopped answering", t->at.host);
        error_hint(t->err, "try again: the part that arrived is kept");
        fail(t, TARS_TIMEOUT);
        return 1;
    }
    return 0;
}

/* What each of curl's failures means here. `again`: worth another try when bytes had arrived. */
typedef struct curl_failure {
    CURLcode code;
    tars_status status;
    bool again;
    const char *message;
    const char *hint;
} curl_failure;

static const curl_failure curl_failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, TARS_NETWORK, false, "the host name is not known",
     "check the URL's spelling and the network connection"},
    {CURLE_COULDNT_RESOLVE_PROXY, TARS_NETWORK, false, "the proxy's name is not known",
     "check the variables http_proxy and https_proxy"},
    {CURLE_COULDNT_CONNECT, TARS_NETWORK, false, "the server does not answer",
     "check the network connection and try again"},
    {CURLE_OPERATION_TIMEDOUT, TARS_TIMEOUT, false, "the server stopped answering",
     "try again: the part that arrived is kept"},
    {CURLE_PEER_FAILED_VERIFICATION, TARS_NETWORK, false, "the server's certificate is not trusted",
     "if an authority of your own signs it, name its bundle in SSL_CERT_FILE"},
    {CURLE_SSL_CACERT_BADFILE, TARS_NETWORK, false, "the file of trusted authorities is unusable",
     "check the variables SSL_CERT_FILE and CURL_CA_BUNDLE"},
    {CURLE_SSL_CONNECT_ERROR, TARS_NETWORK, false, "no secure connection could be made", ""},
    {CURLE_PARTIAL_FILE, TARS_NETWORK, true, "the connection broke off",
     "try again: the part that arrived is kept"},
    {CURLE_RECV_ERROR, TARS_NETWORK, true, "the connection broke off",
     "try again: the part that arrived is kept"},
    {CURLE_GOT_NOTHING, TARS_NETWORK, true, "the server closed the connection without an answer",
     "try again later"},
};

static tars_status curl_failed(transfer *t, CURLcode code, const char *detail, bool *again) {
    if (t->status != TARS_OK) {
        return t->status; /* a callback stopped the transfer and said why */
    }
    curl_failure unknown = {code, TARS_NETWORK, true, "the transfer failed", ""};
    const curl_failure *row = &unknown;
    for (size_t i = 0; i < sizeof curl_failures / sizeof curl_failures[0]; i++) {
        if (curl_failures[i].code == code) {
            row = &curl_failures[i];
        }
    }
    *again = row->again;
    error_set(t->err, row->status, "%s: %s", t->at.host, row->message);
    error_hint(t->err, "%s", row->hint);
    /* curl's detail may repeat the URL with its secrets; its constant text does not */
    error_cause(t->err, "%s",
                strstr(detail, "://") || detail[0] == '\0' ? curl_easy_strerror(code) : detail);
    return fail(t, row->status);
}

static tars_status http_failed(transfer *t, long code) {
    tars_status status = TARS_NETWORK;
    const char *hint = "try again later";
    if (code == 404 || code == 410) {
        status = TARS_NOT_FOUND;
        hint = "check the URL's spelling";
    } else if (code == 401 || code == 403 || code == 407) {
        status = TARS_DENIED;
        hint = "the file may need a login, or its licence to be accepted on the site";
    }
    error_set(t->err, status, "%s answered with HTTP status %ld", t->at.host, code);
    error_hint(t->err, "%s", hint);
    return fail(t, status);
}

static void set_certificates(CURL *handle) {
    const char *bundle = getenv("CURL_CA_BUNDLE");
    bundle = bundle && bundle[0] != '\0' ? bundle : getenv("SSL_CERT_FILE");
    if (bundle && bundle[0] != '\0') {
        curl_easy_setopt(handle, CURLOPT_CAINFO, bundle);
    }
}

static void set_options(transfer *t, char detail[CURL_ERROR_SIZE]) {
    CURL *handle = t->handle;
    const download_options *o = t->options;
    curl_easy_setopt(handle, CURLOPT_URL, t->at.text);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, t->at.is_tls ? "https" : "http");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L); /* each step is judged here */
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "tars");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)or_default(o->connect_timeout_ms, DOWNLOAD_CONNECT_TIMEOUT_MS));
    if (t->at.is_loopback) {
        curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    }
    set_certificates(handle);
}

/* One request. *again: it broke off after bytes had arrived. *target: it redirects there. */
static tars_status request_once(transfer *t, bool *again, char target[URL_BYTES]) {
    char detail[CURL_ERROR_SIZE] = "";
    char range[32];
    char if_range[PART_TAG_BYTES + 16];
    char resolve[64];
    struct curl_slist *headers = NULL;
    struct curl_slist *hosts = NULL;
    *again = false;
    target[0] = '\0';
    t->started = t->is_body = false;
    if (part_length(t->part) > 0 && part_tag(t->part)[0] == '\0') {
        tars_status emptied = part_restart(t->part, NULL, t->err); /* it cannot be continued */
        if (emptied != TARS_OK) {
            return fail(t, emptied);
        }
    }
    uint64_t before = part_length(t->part);
    curl_easy_reset(t->handle);
    set_options(t, detail);
    if (before > 0) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)before);
        snprintf(if_range, sizeof if_range, "If-Range: %s", part_tag(t->part));
        headers = curl_slist_append(NULL, if_range);
        curl_easy_setopt(t->handle, CURLOPT_RANGE, range);
        curl_easy_setopt(t->handle, CURLOPT_HTTPHEADER, headers);
    }
    if (t->options->offline && strcasecmp(t->at.host, "localhost") == 0) {
        snprintf(resolve, sizeof resolve, "localhost:%s:127.0.0.1,[::1]", t->at.port);
        hosts = curl_slist_append(NULL, resolve); /* no name server is asked */
        curl_easy_setopt(t->handle, CURLOPT_RESOLVE, hosts);
    }
    t->heard_ns = platform_clock_ns();
    t->heard_length = before;
    CURLcode code = curl_easy_perform(t->handle);
    if (code == CURLE_OK && !t->started && start_body(t) != TARS_OK) { /* an empty body */
        code = CURLE_WRITE_ERROR;
    }
    char *redirect = NULL;
    curl_easy_getinfo(t->handle, CURLINFO_REDIRECT_URL, &redirect);
    tars_status status = TARS_OK;
    if (code != CURLE_OK) {
        status = curl_failed(t, code, detail, again);
        *again = *again && part_length(t->part) > before;
    } else if (redirect) {
        snprintf(target, URL_BYTES, "%s", redirect);
    }
    curl_slist_free_all(headers);
    curl_slist_free_all(hosts);
    return status;
}

static tars_status check_offline(transfer *t) {
    if (t->options->offline && !t->at.is_loopback) {
        error_set(t->err, TARS_DENIED, "offline: nothing is fetched from %s", t->at.host);
        error_hint(t->err, "leave out --offline (or TARS_OFFLINE), or give a local file");
        return fail(t, TARS_DENIED);
    }
    return TARS_OK;
}

/* The part holds the whole file already, or one that the server no longer has. */
static tars_status range_refused(transfer *t, bool *done) {
    uint64_t first = 0;
    uint64_t total = 0;
    *done = read_content_range(header(t, "Content-Range"), &first, &total) &&
            total == part_length(t->part);
    return *done ? TARS_OK : part_restart(t->part, NULL, t->err);
}

static tars_status follow(transfer *t, const char *target, int *redirects) {
    if (++*redirects > DOWNLOAD_MAX_REDIRECTS) {
        error_set(t->err, TARS_LIMIT, "more than %d redirects", DOWNLOAD_MAX_REDIRECTS);
        return fail(t, TARS_LIMIT);
    }
    url next;
    tars_status status = url_redirect(&t->at, target, &next, t->err);
    if (status != TARS_OK) {
        return fail(t, status);
    }
    t->at = next;
    return check_offline(t);
}

static tars_status run_transfer(transfer *t, const url *first) {
    int redirects = 0;
    int attempts = 0;
    bool done = false;
    char target[URL_BYTES];
    tars_status status = check_offline(t);
    while (status == TARS_OK && !done) {
        bool again;
        t->status = TARS_OK;
        status = request_once(t, &again, target);
        long code = 0;
        curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &code);
        if (status != TARS_OK) {
            if (!again || ++attempts >= DOWNLOAD_MAX_ATTEMPTS) {
                return status;
            }
            error_clear(t->err);
            status = TARS_OK;
            t->at = *first; /* a redirect's target may be valid once only */
            redirects = 0;
        } else if (target[0] != '\0') {
            status = follow(t, target, &redirects);
        } else if (code == 416 && part_length(t->part) > 0) {
            status = range_refused(t, &done);
            if (!done && ++attempts >= DOWNLOAD_MAX_ATTEMPTS) {
                return http_failed(t, code);
            }
        } else if (!t->is_body) {
            status = http_failed(t, code);
        } else {
            done = true;
        }
    }
    return status;
}

tars_status download_fetch(const download_options *options, char *path, size_t path_bytes,
                           tars_error *err) {
    tars_error own;
    transfer t = {.options = options, .err = err ? err : &own};
    error_clear(t.err);
    url first;
    tars_status status = url_parse(options->url, &first, t.err);
    if (status != TARS_OK) {
        return status;
    }
    t.at = first;
    status = part_open(options->folder, options->url, &t.part, t.err);
    if (status != TARS_OK) {
        return status;
    }
    t.handle = curl_easy_init();
    status = t.handle ? run_transfer(&t, &first)
                      : error_set(t.err, TARS_OUT_OF_MEMORY, "no memory for a download");
    curl_easy_cleanup(t.handle);
    if (status == TARS_OK) {
        status = part_finish(t.part, path, path_bytes, t.err);
    }
    bool resumable = status == TARS_OK || status == TARS_NETWORK || status == TARS_TIMEOUT ||
                     status == TARS_CANCELLED;
    part_close(t.part, resumable);
    return status;
}

void download_discard(const char *path) {
    part_discard(path);
}
