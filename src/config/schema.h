/* The rows of all tables as one tree, and the way from a path to its row. Ownership: schema_build
 * takes nodes from the caller's pool; everything in them is constant afterwards. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/key.h"
#include "config/pool.h"

typedef struct schema_node {
    const char *name;      /* "models", "*" or "[]"; "" at the root */
    const config_key *row; /* NULL: a map that has no row of its own */
    struct schema_node *first, *last, *next, *parent;
} schema_node;

/* NULL for want of memory. */
const schema_node *schema_build(pool *memory);
/* The child with exactly this name, or NULL. */
const schema_node *schema_child(const schema_node *node, const char *name);
/* The child that a key of a file means: by name in either spelling, else "*". */
const schema_node *schema_match(const schema_node *node, const char *key);
/* The node of a path in the form of config_key.path. */
const schema_node *schema_find(const schema_node *root, const char *path);
/* A list of maps: its only child is "[]". */
bool schema_is_list_of_maps(const schema_node *node);
/* True when the node holds names with values (not a scalar, list or free value). */
bool schema_is_map(const schema_node *node);
/* Milliseconds or bytes that a plain number counts; 0: a plain number is refused. */
int64_t schema_unit(const schema_node *node);

/* maxInstances → max_instances; a name without capitals, or that begins with one, stays as it is.
 * Cut at the capacity. */
void schema_snake_case(const char *key, char *out, size_t capacity);

#endif
