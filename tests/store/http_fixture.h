/* The HTTP server of the download tests as a child process. */
#ifndef TESTS_STORE_HTTP_FIXTURE_H
#define TESTS_STORE_HTTP_FIXTURE_H

#include "support/check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct http_server {
    pid_t process;
    int port;
    int input;               /* closing it stops the server */
    const char *certificate; /* with its key, PEM; NULL: no TLS */
} http_server;

/* Serves the file; false (and the test is skipped) when there is no python3. */
static inline bool http_server_start(http_server *server, const char *file, const char *log) {
    int input[2];
    int output[2];
    if (pipe(input) != 0 || pipe(output) != 0) {
        check_fail(__FILE__, __LINE__, "no pipes");
        return false;
    }
    fflush(stdout);
    server->process = fork();
    if (server->process == 0) {
        dup2(input[0], 0);
        dup2(output[1], 1);
        close(input[1]);
        close(output[0]);
        execlp("python3", "python3", check_data_path("../store/http_server.py"), file, log,
               server->certificate, (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    server->input = input[1];
    char text[32] = "";
    ssize_t length = read(output[0], text, sizeof text - 1);
    close(output[0]);
    server->port = length > 0 ? atoi(text) : 0;
    if (server->port == 0) {
        check_skip("python3 cannot serve files here");
    }
    return server->port != 0;
}

static inline void http_server_stop(http_server *server) {
    if (server->process > 0) {
        close(server->input);
        kill(server->process, SIGKILL);
        waitpid(server->process, NULL, 0);
        server->process = 0;
    }
}

#endif
