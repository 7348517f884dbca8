/* What a security profile may reach: the words of deployment.security, from narrow to wide.
 * Ownership: a constant table. */
#ifndef CONFIG_REACH_H
#define CONFIG_REACH_H

enum { REACH_MAX_WORDS = 3, REACH_MAX_EXTENDS = 32 /* longest chain of profiles */ };

typedef enum reach_kind {
    REACH_ISOLATION, /* the weakest that code may run in */
    REACH_FILES,
    REACH_NETWORK,
    REACH_PROCESSES,
    REACH_KINDS
} reach_kind;

typedef struct reach_row {
    const char *key;
    const char *words[REACH_MAX_WORDS];    /* narrow to wide; NULL where there are fewer */
    const char *standard[REACH_MAX_WORDS]; /* of config_profiles: strict, standard, trusted */
} reach_row;

extern const reach_row reach_rows[REACH_KINDS];

/* The word's place among those of its row; an unknown one is the narrowest. */
int reach_rank(reach_kind kind, const char *word);

#endif
