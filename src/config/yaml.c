#include "config/yaml.h"

#include "base/utf8.h"

#include <assert.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

typedef struct anchor {
    const char *name;
    const yaml_node *node;
    bool complete; /* false inside itself: an alias there would never end */
    struct anchor *next;
} anchor;

typedef struct frame {
    yaml_node *node;
    yaml_entry *last;
    anchor *name;    /* its anchor, or NULL */
    const char *key; /* the latest; its value is awaited or, with frames above, being read */
    bool awaits_value;
    int key_line, key_column;
} frame;

typedef struct builder {
    const char *file;
    pool *memory;
    config_diagnostics *problems;
    const yaml_node *root;
    anchor *anchors; /* the latest first: a name may be given anew */
    size_t n_anchors;
    unsigned n_documents;
    unsigned depth; /* frames in use */
    bool refused;
    frame frames[YAML_MAX_DEPTH];
} builder;

static void current_path(const builder *b, text_buffer *path) {
    for (unsigned i = 0; i < b->depth; i++) {
        const frame *f = &b->frames[i];
        if (f->node->kind == YAML_LIST) {
            size_t index = f->node->count - (i + 1 < b->depth ? 1 : 0); /* that of a frame is in */
            text_format(path, "[%zu]", index);
        } else if (f->key) {
            text_format(path, "%s%s", path->length > 0 ? "." : "", f->key);
        }
    }
}

static bool refuse(builder *b, const char *code, int line, int column, const char *message) {
    char bytes[512];
    text_buffer path;
    text_init(&path, bytes, sizeof bytes);
    current_path(b, &path);
    diagnostics_add(b->problems, code, false, (config_place){b->file, line, column}, path.data,
                    "%s", message);
    b->refused = true;
    return false;
}

/* The word behind an anchor or alias. */
static const char *token_text(builder *b, struct fy_token *token) {
    size_t length = 0;
    const char *text = token ? fy_token_get_text(token, &length) : NULL;
    return text ? pool_text(b->memory, text, length) : NULL;
}

static anchor *find_anchor(builder *b, const char *name) {
    for (anchor *a = b->anchors; a; a = a->next) {
        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/* Remembers an anchor of the node; *out is NULL when there is none. */
static bool add_anchor(builder *b, struct fy_token *token, const yaml_node *node, anchor **out) {
    *out = NULL;
    if (!token) {
        return true;
    }
    if (b->n_anchors == YAML_MAX_ANCHORS) {
        return refuse(b, "C0102", node->line, node->column,
                      "there are more than 1000 anchors; write the values out");
    }
    anchor *a = POOL_NEW(b->memory, anchor);
    const char *name = token_text(b, token);
    if (!a || !name) {
        return false;
    }
    *a = (anchor){.name = name, .node = node, .next = b->anchors};
    b->anchors = a;
    b->n_anchors++;
    *out = a;
    return true;
}

/* Counts the value among those above it, and refuses what the limits do not allow. */
static bool count_node(builder *b, const yaml_node *value, int line, int column) {
    if (b->depth + value->height > YAML_MAX_DEPTH) {
        return refuse(b, "C0102", line, column, "values are nested more than 32 levels deep");
    }
    for (unsigned i = 0; i < b->depth; i++) {
        yaml_node *above = b->frames[i].node;
        unsigned levels = b->depth - i + value->height;
        above->n_nodes += value->n_nodes;
        above->height = above->height > levels ? above->height : levels;
        if (above->n_nodes > YAML_MAX_NODES) {
            return refuse(b, "C0102", line, column,
                          "the file has more than 100000 values when its aliases are written out");
        }
    }
    return true;
}

/* Puts a value where it belongs: under the awaited key, into the list, or at the root. */
static bool attach(builder *b, const yaml_node *value, int line, int column) {
    if (!count_node(b, value, line, column)) {
        return false;
    }
    if (b->depth == 0) {
        b->root = value;
        return true;
    }
    frame *f = &b->frames[b->depth - 1];
    yaml_entry *entry = POOL_NEW(b->memory, yaml_entry);
    if (!entry) {
        return false;
    }
    bool keyed = f->node->kind == YAML_MAP;
    *entry = (yaml_entry){.key = keyed ? f->key : NULL,
                          .line = keyed ? f->key_line : line,
                          .column = keyed ? f->key_column : column,
                          .value = value};
    f->awaits_value = false;
    if (f->last) {
        f->last->next = entry;
    } else {
        f->node->first = entry;
    }
    f->last = entry;
    f->node->count++;
    return true;
}

static bool key_is_due(const builder *b) {
    const frame *f = b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
    return f && f->node->kind == YAML_MAP && !f->awaits_value;
}

static yaml_node *new_node(builder *b, yaml_kind kind, int line, int column) {
    yaml_node *node = POOL_NEW(b->memory, yaml_node);
    if (node) {
        *node = (yaml_node){.kind = kind, .line = line, .column = column, .n_nodes = 1};
        node->height = kind == YAML_SCALAR ? 0 : 1;
    }
    return node;
}

static bool take_scalar(builder *b, struct fy_event *event, int line, int column) {
    size_t length = 0;
    struct fy_token *token = event->scalar.value;
    const char *text = token ? fy_token_get_text(token, &length) : "";
    if (!text || (length > 0 && memchr(text, '\0', length))) {
        return refuse(b, "C0102", line, column, "a text with the character U+0000 is refused");
    }
    const char *copy = pool_text(b->memory, text, length);
    if (!copy) {
        return false;
    }
    if (key_is_due(b)) {
        frame *f = &b->frames[b->depth - 1];
        f->key = copy;
        f->awaits_value = true;
        f->key_line = line;
        f->key_column = column;
        return event->scalar.anchor == NULL ||
               refuse(b, "C0102", line, column, "a key cannot have an anchor; put it on the value");
    }
    yaml_node *node = new_node(b, YAML_SCALAR, line, column);
    if (!node) {
        return false;
    }
    node->text = copy;
    node->plain = !token || fy_token_scalar_style(token) == FYSS_PLAIN;
    anchor *name;
    if (!add_anchor(b, event->scalar.anchor, node, &name)) {
        return false;
    }
    if (name) {
        name->complete = true;
    }
    return attach(b, node, line, column);
}

static bool take_alias(builder *b, struct fy_event *event, int line, int column) {
    if (key_is_due(b)) {
        return refuse(b, "C0102", line, column, "a key must be a text, found an alias");
    }
    const char *name = token_text(b, event->alias.anchor);
    const anchor *a = name ? find_anchor(b, name) : NULL;
    if (!a) {
        return refuse(b, "C0101", line, column, "the alias names an anchor that is not above it");
    }
    if (!a->complete) {
        return refuse(b, "C0102", line, column, "the alias stands inside the value it names");
    }
    return attach(b, a->node, line, column);
}

static bool open_frame(builder *b, yaml_kind kind, struct fy_token *name, int line, int column) {
    if (key_is_due(b)) {
        return refuse(b, "C0102", line, column, "a key must be a text, found a list or a map");
    }
    yaml_node *node = new_node(b, kind, line, column);
    anchor *a;
    if (!node || !add_anchor(b, name, node, &a) || !attach(b, node, line, column)) {
        return false;
    }
    b->frames[b->depth++] = (frame){.node = node, .name = a};
    return true;
}

static int by_key(const void *a, const void *b) {
    const yaml_entry *left = *(yaml_entry *const *)a;
    const yaml_entry *right = *(yaml_entry *const *)b;
    int order = strcmp(left->key, right->key);
    if (order != 0) {
        return order;
    }
    if (left->line != right->line) {
        return left->line < right->line ? -1 : 1;
    }
    return (left->column > right->column) - (left->column < right->column);
}

/* Takes repeated keys out of a finished map; sorted, so that a large one costs no quadratic time.
 */
static bool drop_duplicates(builder *b, yaml_node *map) {
    if (map->count < 2) {
        return true;
    }
    yaml_entry **sorted = pool_alloc(b->memory, map->count * sizeof *sorted);
    if (!sorted) {
        return false;
    }
    size_t n = 0;
    for (yaml_entry *e = map->first; e; e = e->next) {
        sorted[n++] = e;
    }
    qsort(sorted, n, sizeof *sorted, by_key);
    size_t n_dropped = 0;
    for (size_t i = 1, kept = 0; i < n; i++) {
        if (strcmp(sorted[i]->key, sorted[kept]->key) != 0) {
            kept = i;
            continue;
        }
        char bytes[512];
        text_buffer path;
        text_init(&path, bytes, sizeof bytes);
        b->frames[b->depth - 1].key = sorted[i]->key;
        current_path(b, &path);
        diagnostics_add(b->problems, "C0103", false,
                        (config_place){b->file, sorted[i]->line, sorted[i]->column}, path.data,
                        "the key stands here a second time, first on line %d; remove one",
                        sorted[kept]->line);
        sorted[i]->value = NULL;
        n_dropped++;
    }
    for (yaml_entry **link = &map->first; n_dropped > 0 && *link;) {
        if ((*link)->value) {
            link = &(*link)->next;
        } else {
            *link = (*link)->next;
            map->count--;
        }
    }
    return true;
}

static bool close_frame(builder *b) {
    assert(b->depth > 0); /* the parser ends only what it began */
    frame *f = &b->frames[b->depth - 1];
    yaml_node *node = f->node;
    if (!node || (node->kind == YAML_MAP && !drop_duplicates(b, node))) {
        return false;
    }
    if (f->name) {
        f->name->complete = true;
    }
    b->depth--;
    return true;
}

static struct fy_token *tag_of(const struct fy_event *event) {
    return event->type == FYET_SCALAR           ? event->scalar.tag
           : event->type == FYET_MAPPING_START  ? event->mapping_start.tag
           : event->type == FYET_SEQUENCE_START ? event->sequence_start.tag
                                                : NULL;
}

/* Line and column where an event begins, 1-based. The parser's marks of quoted texts and aliases
 * are behind the quote and the star. */
static void find_place(struct fy_event *event, int *line, int *column) {
    struct fy_token *tag = tag_of(event);
    const struct fy_mark *mark = tag ? fy_token_start_mark(tag) : fy_event_start_mark(event);
    bool quoted = !tag && event->type == FYET_SCALAR && event->scalar.value &&
                  (fy_token_scalar_style(event->scalar.value) == FYSS_SINGLE_QUOTED ||
                   fy_token_scalar_style(event->scalar.value) == FYSS_DOUBLE_QUOTED);
    *line = mark ? mark->line + 1 : 1;
    *column = mark ? mark->column + (quoted || event->type == FYET_ALIAS ? 0 : 1) : 1;
    *column = *column > 0 ? *column : 1;
}

/* False: stop reading, because of a refusal that was told or for want of memory. */
static bool take(builder *b, struct fy_event *event) {
    int line;
    int column;
    find_place(event, &line, &column);
    if (tag_of(event)) {
        return refuse(b, "C0102", line, column,
                      "tags (a word that begins with !) are refused; remove it");
    }
    switch (event->type) {
    case FYET_DOCUMENT_START:
        b->n_documents++;
        return b->n_documents == 1 ||
               refuse(b, "C0102", line, column,
                      "a second document begins here; a file holds one, so remove the line ---");
    case FYET_SCALAR:
        return take_scalar(b, event, line, column);
    case FYET_ALIAS:
        return take_alias(b, event, line, column);
    case FYET_MAPPING_START:
        return open_frame(b, YAML_MAP, event->mapping_start.anchor, line, column);
    case FYET_SEQUENCE_START:
        return open_frame(b, YAML_LIST, event->sequence_start.anchor, line, column);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return close_frame(b);
    default:
        return true;
    }
}

/* The parser's messages are read from its list, never printed. */
static void drop_output(struct fy_diag *diag, void *user, const char *text, size_t length) {
    (void)diag;
    (void)user;
    (void)text;
    (void)length;
}

static void tell_syntax(builder *b, struct fy_diag *diag) {
    void *iterator = NULL;
    struct fy_diag_error *problem = fy_diag_errors_iterate(diag, &iterator);
    char message[256];
    text_buffer text;
    text_init(&text, message, sizeof message);
    text_format(&text, "this is not valid YAML: %s",
                problem && problem->msg ? problem->msg : "it cannot be read");
    b->depth = 0;
    refuse(b, "C0101", problem && problem->line > 0 ? problem->line : 1,
           problem && problem->column > 0 ? problem->column : 1, message);
}

static void parse(builder *b, struct fy_diag *diag, const char *text, size_t length) {
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&config);
    if (!parser || fy_parser_set_string(parser, text, length) != 0) {
        b->memory->failed = true;
    } else {
        struct fy_event *event;
        bool more = true;
        while (more && (event = fy_parser_parse(parser)) != NULL) {
            more = take(b, event);
            fy_parser_event_free(parser, event);
        }
        if (more && fy_parser_get_stream_error(parser)) {
            tell_syntax(b, diag);
        }
    }
    if (parser) {
        fy_parser_destroy(parser);
    }
}

/* Line and column of a byte. */
static config_place place_of(const char *file, const char *text, size_t offset) {
    config_place place = {file, 1, 1};
    for (size_t i = 0; i < offset; i++) {
        place.column++;
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

const yaml_node *yaml_read(const char *text, size_t length, const char *file, pool *memory,
                           config_diagnostics *problems) {
    size_t bad = 0;
    if (length > YAML_MAX_BYTES) {
        diagnostics_add(problems, "C0102", false, (config_place){file, 1, 1}, "",
                        "the file has %zu bytes; at most 1 MiB is read, so split it", length);
        return NULL;
    }
    if (!utf8_valid(text, length, &bad)) {
        diagnostics_add(problems, "C0101", false, place_of(file, text, bad), "",
                        "byte %zu is not UTF-8; save the file as UTF-8", bad);
        return NULL;
    }
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.output_fn = drop_output;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    builder b = {.file = file, .memory = memory, .problems = problems};
    if (!diag) {
        memory->failed = true;
        return NULL;
    }
    fy_diag_set_collect_errors(diag, true);
    parse(&b, diag, text, length);
    fy_diag_destroy(diag);
    return b.refused || memory->failed ? NULL : b.root;
}

bool yaml_is_null(const yaml_node *node) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; node->kind == YAML_SCALAR && node->plain && i < 5; i++) {
        if (strcmp(node->text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}
