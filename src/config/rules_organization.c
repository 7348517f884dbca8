#include "config/rules.h"

#include <stdlib.h>
#include <string.h>

/* One entry of the two files that has an id. */
typedef struct member {
    const char *id;
    const char *name;          /* "" when it has none */
    const config_value *value; /* of the id */
    const char *path;
    bool is_agent; /* else an organisation, department, team or swarm */
    bool in_tree;  /* else in tars_agent_organization.yaml */
    bool refers;   /* a member of a swarm, which may stand in a team as well */
} member;

typedef struct members {
    member *items;
    size_t count, capacity;
    bool failed;
} members;

typedef struct search {
    const rules *r;
    members *found;
    bool in_tree;
} search;

static void add_member(members *found, const member *m) {
    if (found->count == found->capacity) {
        size_t capacity = found->capacity ? found->capacity * 2 : 64;
        member *items = realloc(found->items, capacity * sizeof *items);
        if (!items) {
            found->failed = true;
            return;
        }
        found->items = items;
        found->capacity = capacity;
    }
    found->items[found->count++] = *m;
}

/* Finds every id below a value; what kind of entry it is, its path says. Recurses no deeper than
 * files nest. */
static void collect(const search *s, const config_value *value, check_context *path) {
    const config_value *id = value->kind == CONFIG_MAP ? config_member(value, "id") : NULL;
    if (id && id->row && id->row->type == CONFIG_TYPE_ID) {
        const config_value *name = config_member(value, "name");
        const char *text = pool_text(s->r->memory, path->path.data, path->path.length);
        bool in_swarm = text && strstr(text, ".swarms.");
        bool in_list = text && strchr(text, '[');
        member m = {.id = id->text,
                    .name = name && name->text ? name->text : "",
                    .value = id,
                    .path = text ? text : "",
                    .is_agent = in_list || (text && strstr(text, ".executive.")),
                    .in_tree = s->in_tree,
                    .refers = in_swarm && in_list};
        add_member(s->found, &m);
    }
    size_t index = 0;
    for (const config_value *v = value->first; v; v = v->next) {
        size_t mark = check_enter(path, v->name, index++);
        collect(s, v, path);
        check_leave(path, mark);
    }
}

static int by_id(const void *a, const void *b) {
    const member *left = a;
    const member *right = b;
    int order = strcmp(left->id, right->id);
    return order != 0 ? order : (int)right->in_tree - (int)left->in_tree;
}

static const member *find_agent(const members *found, const char *id) {
    size_t low = 0;
    size_t high = found->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(found->items[middle].id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < found->count && strcmp(found->items[low].id, id) == 0; low++) {
        if (found->items[low].is_agent) {
            return &found->items[low];
        }
    }
    return NULL;
}

/* Ids stand once in a file, and with one name in both. */
static void check_ids(const rules *r, const members *found) {
    for (size_t i = 1; i < found->count; i++) {
        const member *a = &found->items[i - 1];
        const member *b = &found->items[i];
        if (strcmp(a->id, b->id) != 0 || a->refers || b->refers) {
            continue;
        }
        if (a->in_tree == b->in_tree) {
            rules_tell(r, "C0341", b->value, b->path, "the id \"%s\" has %s too", b->id, a->path);
        } else if (strcmp(a->name, b->name) != 0) {
            rules_tell(r, "C0301", b->value, b->path,
                       "the id \"%s\" is named \"%.80s\" here and \"%.80s\" at %s", b->id, b->name,
                       a->name, a->path);
        }
    }
}

static void check_total(const rules *r, const members *found) {
    static const char path[] = "tree.metadata.total_agents";
    const config_value *total = rules_at(r, path);
    int64_t count = 0;
    const char *last = "";
    for (size_t i = 0; i < found->count; i++) {
        if (found->items[i].is_agent && strcmp(last, found->items[i].id) != 0) {
            last = found->items[i].id;
            count++;
        }
    }
    if (total && total->integer != count) {
        rules_tell(r, "C0302", total, path, "the two files have %lld agents, not %lld",
                   (long long)count, (long long)total->integer);
    }
}

/* ---- who leads what ---------------------------------------------------------------------- */

static void check_leader(const rules *r, const members *found, const config_value *entry,
                         const char *key, const char *path) {
    const config_value *leader = config_member(entry, key);
    if (leader && leader->text && !find_agent(found, leader->text)) {
        rules_tell(r, "C0342", leader, path, "%s: there is no agent with the id \"%.80s\"", key,
                   leader->text);
    }
}

static bool has_id(const config_value *list, const char *id) {
    for (const config_value *v = list ? list->first : NULL; v; v = v->next) {
        const config_value *own = config_member(v, "id");
        if (own && own->text && strcmp(own->text, id) == 0) {
            return true;
        }
    }
    return false;
}

/* Every target of `inner` stands in `outer`; a map without a list leaves it to those above. */
static void check_within(const rules *r, const config_value *inner, const config_value *outer,
                         const char *path) {
    const config_value *own = config_member(inner, "deployment");
    const config_value *above = config_member(outer, "deployment");
    for (const config_value *v = own && above ? own->first : NULL; v; v = v->next) {
        bool found = false;
        for (const config_value *w = above->first; w && !found; w = w->next) {
            found = strcmp(v->text, w->text) == 0;
        }
        if (!found) {
            rules_tell(r, "C0340", v, path, "\"%s\" is not among the targets of what is above it",
                       v->text);
        }
    }
    if (own && own->count == 0) {
        rules_tell(r, "C0340", own, path, "deployment must name at least one target");
    }
}

/* An agent takes no more than its type may. */
static void check_resources(const rules *r, const config_value *agent, const char *path) {
    const config_value *type = config_member(agent, "type");
    if (!type || !type->text) {
        return;
    }
    const config_value *rows = rules_at(r, "agents.agent_types");
    const config_value *limits = config_member(config_member(rows, type->text), "resources");
    const config_value *most_memory = config_member(limits, "memory_limit_mb");
    const config_value *most_percent = config_member(limits, "cpu_limit_percent");
    const config_value *memory = config_member(config_member(agent, "resources"), "memory");
    const config_value *cpu = config_member(config_member(agent, "resources"), "cpu");
    if (memory && most_memory && memory->integer > most_memory->integer) {
        rules_tell(r, "C0344", memory, path, "an agent of type %.80s may take %lld MB of memory",
                   type->text, (long long)(most_memory->integer / 1000000));
    }
    if (cpu && most_percent && cpu->integer > most_percent->integer * 10) {
        rules_tell(r, "C0344", cpu, path, "an agent of type %.80s may take %lld %% of a core",
                   type->text, (long long)most_percent->integer);
    }
}

static void check_team(const rules *r, const members *found, const config_value *team,
                       const config_value *department, const char *path) {
    const config_value *lead = config_member(team, "lead");
    const config_value *agents = config_member(team, "agents");
    check_leader(r, found, team, "lead", path);
    if (lead && lead->text && find_agent(found, lead->text) && !has_id(agents, lead->text)) {
        rules_tell(r, "C0343", lead, path, "the lead \"%s\" is not among the agents of the team",
                   lead->text);
    }
    check_within(r, team, department, path);
    const config_value *outer = config_member(team, "deployment") ? team : department;
    for (const config_value *agent = agents ? agents->first : NULL; agent; agent = agent->next) {
        check_within(r, agent, outer, path);
        check_resources(r, agent, path);
    }
}

static void check_departments(const rules *r, const members *found, const char *root) {
    check_context path;
    check_begin(&path, NULL, NULL);
    text_format(&path.path, "%s.departments", root);
    const config_value *departments = rules_at(r, path.path.data);
    for (const config_value *d = departments ? departments->first : NULL; d; d = d->next) {
        size_t mark = check_enter(&path, d->name, 0);
        check_leader(r, found, d, "head", path.path.data);
        const config_value *teams = config_member(d, "teams");
        check_enter(&path, "teams", 0);
        for (const config_value *t = teams ? teams->first : NULL; t; t = t->next) {
            size_t team_mark = check_enter(&path, t->name, 0);
            check_team(r, found, t, d, path.path.data);
            check_leave(&path, team_mark);
        }
        check_leave(&path, mark);
    }
}

static void check_swarms(const rules *r, const members *found, const char *root) {
    check_context path;
    check_begin(&path, NULL, NULL);
    text_format(&path.path, "%s.swarms", root);
    const config_value *swarms = rules_at(r, path.path.data);
    for (const config_value *s = swarms ? swarms->first : NULL; s; s = s->next) {
        size_t mark = check_enter(&path, s->name, 0);
        check_leader(r, found, s, "coordinator", path.path.data);
        check_leave(&path, mark);
    }
}

/* The file documents the life of an agent, it cannot redefine it. */
static void check_states(const rules *r) {
    static const char path[] = "organization.lifecycle.states";
    static const char *const names[] = {"inactive", "initializing", "active",
                                        "busy",     "error",        "terminating"};
    const config_value *states = rules_at(r, path);
    size_t n_known = 0;
    for (const config_value *v = states ? states->first : NULL; v; v = v->next) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            n_known += strcmp(names[i], v->text) == 0 ? 1 : 0;
        }
    }
    if (states && (n_known != 6 || states->count != 6)) {
        rules_tell(r, "C0350", states, path,
                   "the states are inactive, initializing, active, busy, error and terminating; "
                   "they cannot be changed");
    }
}

void rules_check_organization(const rules *r) {
    members found = {0};
    static const char *const roots[] = {"tree", "organization"};
    for (size_t i = 0; i < 2; i++) {
        search s = {r, &found, i == 0};
        check_context path;
        check_begin(&path, NULL, NULL);
        text_append_string(&path.path, roots[i]);
        const config_value *root = rules_at(r, roots[i]);
        if (root) {
            collect(&s, root, &path);
        }
    }
    if (found.failed) {
        r->memory->failed = true; /* the load ends with it */
    } else if (found.count > 0) {
        qsort(found.items, found.count, sizeof found.items[0], by_id);
        check_ids(r, &found);
        check_departments(r, &found, "tree.organization");
        check_departments(r, &found, "organization");
        check_swarms(r, &found, "tree.organization");
        check_swarms(r, &found, "organization");
    }
    if (!found.failed) {
        check_total(r, &found);
    }
    check_states(r);
    free(found.items);
}
