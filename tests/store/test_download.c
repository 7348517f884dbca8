#include "store/download.h"

#include "fixture.h"
#include "http_fixture.h"

#include "store/part.h"
#include "store/url.h"

enum { BODY_BYTES = 600000 };

/* A server with a body of its own, and a folder for parts. */
typedef struct download_fixture {
    fixture f;
    http_server server;
    unsigned char *body;
    download_options options;
    char url[512];
} download_fixture;

static bool begin(download_fixture *d) {
    *d = (download_fixture){0};
    fixture_begin(&d->f);
    CHECK_INT(platform_make_folders(fixture_path(&d->f, "partial"), NULL), TARS_OK);
    d->body = malloc(BODY_BYTES);
    uint64_t state = 3;
    for (size_t i = 0; i < BODY_BYTES; i++) {
        d->body[i] = (unsigned char)check_random(&state);
    }
    fixture_write(fixture_path(&d->f, "body"), d->body, BODY_BYTES);
    d->options.folder = strdup(fixture_path(&d->f, "partial"));
    d->options.url = d->url;
    d->options.stall_timeout_ms = 1000;
    return http_server_start(&d->server, fixture_path(&d->f, "body"),
                             fixture_path(&d->f, "requests"));
}

static void end(download_fixture *d) {
    http_server_stop(&d->server);
    free(d->body);
    free((char *)(uintptr_t)d->options.folder);
    fixture_end(&d->f);
}

static tars_status fetch(download_fixture *d, const char *path, tars_error *err) {
    char result[PLATFORM_PATH_BYTES];
    error_clear(err);
    snprintf(d->url, sizeof d->url, "http://127.0.0.1:%d%s", d->server.port, path);
    tars_status status = download_fetch(&d->options, result, sizeof result, err);
    if (status == TARS_OK) {
        size_t length = 0;
        char *bytes = check_read_file(result, &length);
        CHECK_INT(length, BODY_BYTES);
        CHECK(length == BODY_BYTES && memcmp(bytes, d->body, BODY_BYTES) == 0);
        free(bytes);
        download_discard(result);
    } else {
        CHECK(err->message[0] != '\0');
        CHECK_INT(err->status, status);
    }
    return status;
}

static int files_left(const download_fixture *d) {
    return fixture_count(d->options.folder);
}

static bool was_requested(const download_fixture *d, const char *line) {
    size_t length;
    char *text = check_read_file(fixture_path(&d->f, "requests"), &length);
    bool found = strstr(text, line) != NULL;
    free(text);
    return found;
}

static void a_file_arrives(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    CHECK_INT(fetch(&d, "/file", &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void a_cut_transfer_goes_on(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    CHECK_INT(fetch(&d, "/cut", &err), TARS_OK);
    CHECK(was_requested(&d, "/cut bytes=300000-"));
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void a_later_call_goes_on(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    /* every answer breaks off, the attempts of one call end, and the part stays */
    CHECK_INT(fetch(&d, "/stall", &err), TARS_TIMEOUT);
    CHECK_INT(files_left(&d), 2);
    CHECK_INT(fetch(&d, "/stall", &err), TARS_TIMEOUT);
    CHECK(was_requested(&d, "/stall bytes=10-"));
    CHECK_INT(fetch(&d, "/cut-always", &err), TARS_OK);
    CHECK(was_requested(&d, "/cut-always bytes=150001-"));
    CHECK_INT(files_left(&d), 2);
    end(&d);
}

static void a_changed_file_is_fetched_anew(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    CHECK_INT(fetch(&d, "/changed", &err), TARS_OK);
    CHECK(was_requested(&d, "/changed bytes=300000-"));
    /* a weak tag does not say that the bytes are the same: nothing is asked for by range */
    CHECK_INT(fetch(&d, "/weak", &err), TARS_OK);
    CHECK(!was_requested(&d, "/weak bytes="));
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void a_wrong_range_is_refused(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    CHECK_INT(fetch(&d, "/wrong-range", &err), TARS_NETWORK);
    CHECK(strstr(err.message, "another part") != NULL);
    end(&d);
}

static void redirects_are_judged(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    CHECK_INT(fetch(&d, "/redirect", &err), TARS_OK);
    CHECK_INT(fetch(&d, "/redirect-to?https://127.0.0.1:1/file", &err), TARS_DENIED);
    CHECK(strstr(err.message, "redirects from http to https") != NULL);
    CHECK_INT(fetch(&d, "/redirect-to?file:///etc/passwd", &err), TARS_DENIED);
    CHECK_INT(fetch(&d, "/redirect-to?ftp://127.0.0.1/x", &err), TARS_DENIED);
    CHECK_INT(fetch(&d, "/redirect-to?gopher://127.0.0.1/x", &err), TARS_DENIED);
    CHECK_INT(fetch(&d, "/loop", &err), TARS_LIMIT);
    CHECK_INT(files_left(&d), 0);
    d.options.offline = true;
    CHECK_INT(fetch(&d, "/redirect-to?http://192.0.2.1/file", &err), TARS_DENIED);
    CHECK(strstr(err.message, "offline") != NULL);
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void sizes_are_limited(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    d.options.max_bytes = BODY_BYTES;
    CHECK_INT(fetch(&d, "/file", &err), TARS_OK);
    d.options.max_bytes = BODY_BYTES - 1;
    CHECK_INT(fetch(&d, "/file", &err), TARS_LIMIT);
    CHECK_INT(files_left(&d), 0);
    CHECK_INT(fetch(&d, "/endless", &err), TARS_LIMIT);
    CHECK_INT(files_left(&d), 0);
    d.options.max_bytes = 0;
    CHECK_INT(fetch(&d, "/huge", &err), TARS_DISK_FULL);
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void statuses_are_told(void) {
    static const struct {
        const char *path;
        tars_status status;
    } cases[] = {
        {"/status/404", TARS_NOT_FOUND}, {"/status/410", TARS_NOT_FOUND},
        {"/status/401", TARS_DENIED},    {"/status/403", TARS_DENIED},
        {"/status/429", TARS_NETWORK},   {"/status/500", TARS_NETWORK},
        {"/status/204", TARS_NETWORK},   {"/status/304", TARS_NETWORK},
    };
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(fetch(&d, cases[i].path, &err), cases[i].status);
        CHECK(strstr(err.message, strrchr(cases[i].path, '/') + 1) != NULL);
        CHECK(strstr(err.where, cases[i].path) != NULL);
    }
    CHECK_INT(files_left(&d), 0);
    int port = d.server.port;
    http_server_stop(&d.server);
    d.server.port = port;
    CHECK_INT(fetch(&d, "/file", &err), TARS_NETWORK);
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static bool cancel_at_once(void *user, const char *step, uint64_t done, uint64_t total) {
    (void)step;
    (void)total;
    int *calls = user;
    return done < 1000 || ++*calls < 2;
}

static void cancelling_keeps_the_part(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    int calls = 0;
    d.options.progress = cancel_at_once;
    d.options.user = &calls;
    CHECK_INT(fetch(&d, "/stall", &err), TARS_TIMEOUT); /* 10 bytes are below its mark */
    CHECK_INT(fetch(&d, "/file", &err), TARS_CANCELLED);
    CHECK(err.hint[0] != '\0');
    d.options.progress = NULL;
    CHECK_INT(fetch(&d, "/file", &err), TARS_OK);
    end(&d);
}

static void one_process_at_a_time(void) {
    download_fixture d;
    tars_error err;
    if (!begin(&d)) {
        return;
    }
    snprintf(d.url, sizeof d.url, "http://127.0.0.1:%d/file", d.server.port);
    part_file *held = NULL;
    CHECK_INT(part_open(d.options.folder, d.url, &held, &err), TARS_OK);
    CHECK_INT(fetch(&d, "/file", &err), TARS_CONFLICT);
    part_close(held, true);
    CHECK_INT(fetch(&d, "/file", &err), TARS_OK);
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void secrets_stay_secret(void) {
    download_fixture d;
    tars_error err = {0};
    char path[PLATFORM_PATH_BYTES];
    if (!begin(&d)) {
        return;
    }
    snprintf(d.url, sizeof d.url, "http://user:secretword@127.0.0.1:%d/status/500?token=secretword",
             d.server.port);
    CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_NETWORK);
    CHECK(was_requested(&d, "auth=Basic")); /* the first server gets what it was sent */
    CHECK(!strstr(err.message, "secretword") && !strstr(err.hint, "secretword"));
    CHECK(!strstr(err.where, "secretword") && !strstr(err.cause, "secretword"));
    snprintf(d.url, sizeof d.url, "http://user:secretword@127.0.0.1:1/x?token=secretword");
    CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_NETWORK);
    CHECK(!strstr(err.message, "secretword") && !strstr(err.cause, "secretword"));
    snprintf(d.url, sizeof d.url, "http://user:secretword@");
    CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_USAGE);
    CHECK(!strstr(err.message, "secretword") && !strstr(err.cause, "secretword"));
    end(&d);
}

static void offline_reaches_nothing_but_loopback(void) {
    download_fixture d;
    tars_error err = {0};
    char path[PLATFORM_PATH_BYTES];
    if (!begin(&d)) {
        return;
    }
    d.options.offline = true;
    static const char *const refused[] = {
        "http://192.0.2.1/x", "https://huggingface.co/x", "http://localhost.example.com/x",
        "http://128.0.0.1/x", "http://[::2]/x",           "http://127.0.0.1.example.com/x"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(d.url, sizeof d.url, "%s", refused[i]);
        CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_DENIED);
        CHECK(strstr(err.hint, "--offline") != NULL);
    }
    CHECK_INT(fetch(&d, "/file", &err), TARS_OK);
    snprintf(d.url, sizeof d.url, "http://localhost:%d/file", d.server.port);
    CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_OK);
    download_discard(path);
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void certificates_are_checked(void) {
    download_fixture d;
    tars_error err = {0};
    char path[PLATFORM_PATH_BYTES];
    if (!begin(&d)) {
        return;
    }
    http_server_stop(&d.server);
    const char *certificate = fixture_path(&d.f, "certificate.pem");
    char command[1400];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
             " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
             " -keyout %s.key -out %s.crt 2>/dev/null && cat %s.crt %s.key > %s",
             certificate, certificate, certificate, certificate, certificate);
    if (system(command) != 0) {
        check_skip("there is no openssl to make a certificate");
        end(&d);
        return;
    }
    d.server.certificate = certificate;
    if (http_server_start(&d.server, fixture_path(&d.f, "body"), fixture_path(&d.f, "requests"))) {
        snprintf(d.url, sizeof d.url, "https://127.0.0.1:%d/file", d.server.port);
        CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_NETWORK);
        CHECK(strstr(err.message, "certificate") != NULL);
        CHECK(strstr(err.hint, "SSL_CERT_FILE") != NULL);
        char *before = getenv("CURL_CA_BUNDLE") ? strdup(getenv("CURL_CA_BUNDLE")) : NULL;
        snprintf(command, sizeof command, "%s.crt", certificate);
        setenv("CURL_CA_BUNDLE", command, 1);
        CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_OK);
        download_discard(path);
        snprintf(d.url, sizeof d.url, "https://127.0.0.1:%d/redirect-to?http://127.0.0.1:%d/file",
                 d.server.port, d.server.port);
        CHECK_INT(download_fetch(&d.options, path, sizeof path, &err), TARS_DENIED);
        CHECK(strstr(err.message, "from https to http") != NULL);
        if (before) {
            setenv("CURL_CA_BUNDLE", before, 1);
        } else {
            unsetenv("CURL_CA_BUNDLE");
        }
        free(before);
    }
    CHECK_INT(files_left(&d), 0);
    end(&d);
}

static void urls_are_read(void) {
    static const struct {
        const char *text;
        tars_status status;
        const char *shown;
        bool is_loopback;
    } cases[] = {
        {"https://example.com/a/b.gguf", TARS_OK, "https://example.com/a/b.gguf", false},
        {"http://u:p@example.com:81/a?t=1#f", TARS_OK, "http://example.com:81/a", false},
        {"http://localhost/x", TARS_OK, "http://localhost/x", true},
        {"http://[::1]:9/x", TARS_OK, "http://[::1]:9/x", true},
        {"http://127.9.9.9/x", TARS_OK, "http://127.9.9.9/x", true},
        {"http://127.0.0.1.evil/x", TARS_OK, "http://127.0.0.1.evil/x", false},
        {"file:///etc/passwd", TARS_DENIED, "", false},
        {"ftp://example.com/x", TARS_DENIED, "", false},
        {"javascript:alert(1)", TARS_DENIED, "", false},
        {"http://", TARS_USAGE, "", false},
        {"http://exa mple/x", TARS_USAGE, "", false},
        {"http://example.com:99999/x", TARS_USAGE, "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        url u;
        tars_error err = {0};
        tars_status status = url_parse(cases[i].text, &u, &err);
        if (status != cases[i].status &&
            !(status == TARS_USAGE && cases[i].status == TARS_DENIED)) {
            check_fail(__FILE__, __LINE__, "%s gives %s: %s", cases[i].text,
                       tars_status_code(status), err.message);
        }
        if (status == TARS_OK) {
            CHECK_STRING(u.shown, cases[i].shown);
            CHECK_INT(u.is_loopback, cases[i].is_loopback);
        }
    }
    char longest[3000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "http://a/", 9);
    url u;
    tars_error err = {0};
    CHECK_INT(url_parse(longest, &u, &err), TARS_USAGE);
}

static void hf_names_become_urls(void) {
    char out[URL_BYTES];
    tars_error err = {0};
    CHECK_INT(url_of_hf("org/repo/sub/file.gguf", NULL, out, &err), TARS_OK);
    CHECK_STRING(out, "https://huggingface.co/org/repo/resolve/main/sub/file.gguf");
    CHECK_INT(url_of_hf("org/repo/file.gguf", "http://127.0.0.1:8/", out, &err), TARS_OK);
    CHECK_STRING(out, "http://127.0.0.1:8/org/repo/resolve/main/file.gguf");
    static const char *const bad[] = {"",        "org",       "org/repo",  "org/repo/",
                                      "/a/b/c",  "a/../b/c",  "a/b/c?x=1", "a//b/c",
                                      "a/b/c d", "a@b/c/d/e", "a/b/c\r\nX"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(url_of_hf(bad[i], NULL, out, &err), TARS_USAGE);
    }
}

static const check_test tests[] = {
    {"urls are read", urls_are_read},
    {"hf names become urls", hf_names_become_urls},
    {"a download arrives", a_file_arrives},
    {"a cut transfer goes on", a_cut_transfer_goes_on},
    {"a later call goes on", a_later_call_goes_on},
    {"a changed file is fetched anew", a_changed_file_is_fetched_anew},
    {"a wrong range is refused", a_wrong_range_is_refused},
    {"redirects are judged", redirects_are_judged},
    {"download sizes are limited", sizes_are_limited},
    {"http statuses are told", statuses_are_told},
    {"cancelling keeps the part", cancelling_keeps_the_part},
    {"one process fetches at a time", one_process_at_a_time},
    {"secrets of urls stay secret", secrets_stay_secret},
    {"certificates are checked", certificates_are_checked},
    {"offline reaches nothing but loopback", offline_reaches_nothing_but_loopback},
};
CHECK_MAIN(tests)
