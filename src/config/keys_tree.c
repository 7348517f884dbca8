#include "config/key.h"

static const config_key rows[] = {
    {"tree", CONFIG_TYPE_FREE, .text = "organisation as a tree"},
};
const config_key_table config_keys_tree = CONFIG_KEY_TABLE(rows);
