#include "config/key.h"

static const config_key rows[] = {
    {"organization", CONFIG_TYPE_FREE, .text = "organisation"},
};
const config_key_table config_keys_organization = CONFIG_KEY_TABLE(rows);
