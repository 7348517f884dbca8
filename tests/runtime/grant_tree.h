/* Folders for tests of what a guest may reach: grant/ is granted and full of links, outside/ lies
 * beside it. Ownership: static memory; one tree at a time. */
#ifndef TESTS_RUNTIME_GRANT_TREE_H
#define TESTS_RUNTIME_GRANT_TREE_H

#include "platform/scratch.h"

#include <sys/socket.h>
#include <sys/un.h>

static inline void grant_write(const char *name, const char *text) {
    scratch_write(scratch_path(name), text, strlen(text));
}

static inline void make_link(const char *target, const char *name) {
    if (symlink(target, scratch_path(name)) != 0) {
        perror(name);
        exit(1);
    }
}

static inline void make_folder(const char *name) {
    if (mkdir(scratch_path(name), 0700) != 0) {
        perror(name);
        exit(1);
    }
}

static inline void make_socket(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char here[1024];
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    if (!getcwd(here, sizeof here) || chdir(scratch_path("grant")) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || chdir(here) != 0) {
        perror(name);
        exit(1);
    }
    close(fd);
}

/* grant/ is granted; outside/ lies beside it. */
static inline void tree_make(void) {
    scratch_make();
    make_folder("grant");
    make_folder("outside");
    make_folder("grant/folder");
    make_folder("grant/empty");
    grant_write("outside/secret", "outside");
    grant_write("grant/file", "hello world");
    grant_write("grant/folder/inner", "inside");
    make_link("file", "grant/link");
    make_link("folder", "grant/linkdir");
    make_link("folder/", "grant/slashdir");
    make_link("../file", "grant/folder/up");
    make_link("../../outside/secret", "grant/folder/upup");
    make_link("../outside/secret", "grant/out");
    make_link("../outside", "grant/outdir");
    make_link("..", "grant/dotdot");
    make_link("/etc/passwd", "grant/absolute");
    make_link("/", "grant/root");
    make_link("loop", "grant/loop");
    make_link("ring-b", "grant/ring-a");
    make_link("ring-a", "grant/ring-b");
    make_link("nowhere", "grant/dangling");
    make_link("../nowhere", "grant/dangling-out");
    if (mkfifo(scratch_path("grant/fifo"), 0600) != 0) {
        exit(1);
    }
    make_socket("socket");
    for (int i = 1; i <= 41; i++) { /* chain-N has N links */
        char target[32], name[32];
        snprintf(target, sizeof target, i == 1 ? "file" : "chain-%d", i - 1);
        snprintf(name, sizeof name, "grant/chain-%d", i);
        make_link(target, name);
    }
}

static inline void tree_remove(void) {
    scratch_remove();
}

/* Nothing outside the grant changed. */
static inline void check_outside(const char *file, int line) {
    char text[16] = "";
    FILE *secret = fopen(scratch_path("outside/secret"), "r");
    bool same = secret && fgets(text, sizeof text, secret) && strcmp(text, "outside") == 0;
    if (secret) {
        fclose(secret);
    }
    if (!same || scratch_count(scratch_path("outside")) != 1 ||
        scratch_count(scratch_folder) != 2) {
        check_fail(file, line, "something outside the granted folder changed");
    }
}
#define CHECK_OUTSIDE() check_outside(__FILE__, __LINE__)

#endif
