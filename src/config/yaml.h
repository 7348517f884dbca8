/* A bounded reader for the safe subset of YAML 1.2: maps with text keys, lists, scalars, anchors
 * and aliases. Ownership: nodes and texts live in the caller's pool. What is refused goes into the
 * caller's list of diagnostics. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/diagnostics.h"

enum {
    YAML_MAX_BYTES = 1 << 20,
    YAML_MAX_DEPTH = 32,
    YAML_MAX_NODES = 100000, /* counted as if every alias were written out */
    YAML_MAX_ANCHORS = 1000
};

typedef enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP } yaml_kind;

typedef struct yaml_entry yaml_entry;

/* Immutable once read; an alias makes two entries share one node. */
typedef struct yaml_node {
    yaml_kind kind;
    bool plain; /* a scalar without quotes: may be a number, true, null … */
    int line, column;
    const char *text; /* of a scalar: UTF-8 without NUL bytes */
    size_t count;     /* entries of a list or map */
    size_t n_nodes;   /* this one and all below, aliases written out */
    unsigned height;  /* levels of lists and maps, this one counted; 0 for a scalar */
    yaml_entry *first;
} yaml_node;

struct yaml_entry {
    const char *key;  /* NULL in a list */
    int line, column; /* of the key */
    const yaml_node *value;
    yaml_entry *next;
};

/* Reads one document. NULL for an empty one, and after a refusal (then n_errors has grown).
 * Duplicate keys are all told (C0103), the first one is kept and the rest goes on. */
const yaml_node *yaml_read(const char *text, size_t length, const char *file, pool *memory,
                           config_diagnostics *problems);
/* A null: the plain scalars ~, null, Null, NULL and nothing at all. */
bool yaml_is_null(const yaml_node *node);

#endif
