/* Downloads over HTTP and HTTPS that can be taken up where they broke off. The part so far lies in
 * a folder under a name made from the URL, with the server's entity tag beside it; only a file
 * with the same tag is continued. Ownership: nothing is kept. */
#ifndef STORE_DOWNLOAD_H
#define STORE_DOWNLOAD_H

#include "base/error.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DOWNLOAD_MAX_REDIRECTS = 5,
    DOWNLOAD_CONNECT_TIMEOUT_MS = 20000,
    DOWNLOAD_STALL_TIMEOUT_MS = 30000,
    DOWNLOAD_MAX_ATTEMPTS = 4 /* for one call; each goes on where the last broke off */
};

typedef struct download_options {
    const char *url;
    const char *folder;          /* exists; parts are kept here */
    bool offline;                /* open no socket to anything but loopback, ask no name server */
    uint64_t max_bytes;          /* 0: no limit but the disk's */
    uint32_t connect_timeout_ms; /* 0: DOWNLOAD_CONNECT_TIMEOUT_MS */
    uint32_t stall_timeout_ms;   /* without a byte; 0: DOWNLOAD_STALL_TIMEOUT_MS */
    tars_progress progress;      /* may be NULL */
    void *user;
} download_options;

/* Fetches the URL into a file of the folder and gives its path; the caller removes it with
 * download_discard when it is used. Broken transfers are retried; what was fetched stays for the
 * next call after NETWORK, TIMEOUT and CANCELLED, and is removed after any other failure. Messages
 * never hold a password or a query. */
tars_status download_fetch(const download_options *options, char *path, size_t path_bytes,
                           tars_error *err);
/* Removes the file and its tag. */
void download_discard(const char *path);

#endif
