/* The parts of a jail: the caller runs platform_jail_run (jail.c) and forks a keeper, which makes
 * the walls (jail_root.c, landlock.c), forks the program behind them (jail_guest.c, jail_filter.c)
 * and answers its refused calls until it ends. Caller and keeper share one jail_shared.
 * Ownership: plain memory of platform_jail_run; behind a fork only async-signal-safe calls run. */
#ifndef PLATFORM_LINUX_JAIL_H
#define PLATFORM_LINUX_JAIL_H

#include "platform/platform.h"

#include <stdatomic.h>
#include <sys/types.h>

enum {
    JAIL_CALL_NUMBERS = 1024, /* counted apart; those above count as the last */
    JAIL_USER = 65534,        /* nobody */
    JAIL_GROUP_FILES = 4
};

/* Shared memory, written by keeper and guest, read by the caller after both ended (the guest until
 * its program starts). */
typedef struct jail_shared {
    atomic_uint listener; /* JAIL_LISTENER_…, or the descriptor's number + 2 */
    bool pid_namespace, private_root;
    bool guest_ended, timed_out;
    bool program_started;
    int wait_status;
    uint64_t cpu_ns, peak_resident_bytes, wall_ns;
    int error_number; /* why the program did not start, at `step`; 0: it did */
    char step[PLATFORM_JAIL_TEXT_BYTES];
    uint32_t refused[JAIL_CALL_NUMBERS];
    char missing[PLATFORM_JAIL_MISSING][PLATFORM_JAIL_TEXT_BYTES];
    uint32_t n_missing;
} jail_shared;

enum { JAIL_LISTENER_WAITED_FOR = 0, JAIL_LISTENER_NONE = 1, JAIL_LISTENER_FIRST = 2 };

/* A group of processes of their own; version 1 has a folder a controller. */
typedef struct jail_group {
    bool memory_limited;
    size_t n_folders;
    char folders[JAIL_GROUP_FILES][256];
    int members[JAIL_GROUP_FILES]; /* open files of processes, where "0" means the writer */
} jail_group;

typedef struct jail_plan {
    const platform_jail_options *options;
    jail_shared *shared;
    jail_group group;
    bool was_root, user_namespace;
    uint32_t user, group_id; /* of the caller */
    int program;             /* O_PATH, or -1 */
    int channels[3];         /* of the guest, numbers 3 and above */
    int control;             /* read end: its end tells the keeper to stop */
    int rules;               /* of Landlock, or -1 */
} jail_plan;

/* "what: why" from an errno; text that is not there yet only. */
void jail_miss(jail_shared *shared, const char *what, int error_number);
/* Ends the calling process after noting why. */
_Noreturn void jail_give_up(jail_shared *shared, const char *step, int error_number);

/* The process that runs the walls: never returns. */
_Noreturn void jail_keeper_run(jail_plan *plan);
/* The process that becomes the program: never returns. */
_Noreturn void jail_guest_run(jail_plan *plan);
/* Makes a root of the grants alone in a mount namespace of its own. When that is not permitted it
 * is noted as missing, and the process stays where it was. */
void jail_root_enter(jail_plan *plan);
/* A set of rules that allows the grants and the program alone, or -1 and a note. */
int jail_rules_make(jail_plan *plan);
bool jail_rules_enter(int rules);
/* The filter for the calling process; a listener's number or -1 when refused calls cannot be told
 * (the filter is then in force all the same), or -2 without any filter. */
int jail_filter_install(const platform_jail_options *options);
/* Answers one refused call; the first start of a program is let through. */
void jail_filter_serve(int listener, jail_shared *shared);

/* Makes groups with the limits, as far as this user may, and removes those of callers that were
 * killed before they could. */
void jail_group_make(jail_group *group, const platform_jail_options *options, jail_shared *shared);
bool jail_group_join(const jail_group *group);
/* Reads what was used and removes the groups. */
void jail_group_end(jail_group *group, uint64_t *memory_peak_bytes, bool *memory_hit);

#endif
