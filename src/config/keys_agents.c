#include "config/key.h"

static const config_key rows[] = {
    {"agents", CONFIG_TYPE_FREE, .text = "how agents run"},
};
const config_key_table config_keys_agents = CONFIG_KEY_TABLE(rows);
