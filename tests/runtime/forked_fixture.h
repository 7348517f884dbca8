/* Processes of tests that give up rights. They end with 0 or with the line of the check that
 * failed, from 100 on modulo 100. Ownership: nothing is kept. */
#ifndef TESTS_RUNTIME_FORKED_FIXTURE_H
#define TESTS_RUNTIME_FORKED_FIXTURE_H

#include "vmm_fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_FILTERS = 77 };

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            _exit(100 + __LINE__ % 100);                                                           \
        }                                                                                          \
    } while (0)

/* How a process ends that does this; false, and the test is skipped, where that cannot be tried. */
static inline bool find_end(void (*function)(void), int *status) {
    const vmm_functions *vmm;
    if (!has_vmm(&vmm)) {
        return false;
    }
    fflush(stdout);
    pid_t process = fork();
    if (process == 0) {
        function();
        _exit(0);
    }
    CHECK_INT(waitpid(process, status, 0), process);
    if (WIFEXITED(*status) && WEXITSTATUS(*status) == NO_FILTERS) {
        check_skip("no system-call filters here");
        return false;
    }
    return true;
}

#endif
