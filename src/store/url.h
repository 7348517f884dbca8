/* URLs of downloads. Ownership: plain memory of the caller's. */
#ifndef STORE_URL_H
#define STORE_URL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { URL_BYTES = 2048, URL_HOST_BYTES = 256 };

typedef struct url {
    char text[URL_BYTES];  /* whole, as it is fetched */
    char shown[URL_BYTES]; /* without user, password, query and fragment: for messages and logs */
    char host[URL_HOST_BYTES];
    char port[8];
    bool is_tls;
    bool is_loopback; /* localhost, 127.0.0.0/8 or [::1], by its text: nothing is looked up */
} url;

/* Reads an http or https URL. USAGE for what is none, DENIED for another scheme. */
tars_status url_parse(const char *text, url *out, tars_error *err);
/* True when the text begins with a scheme ("name://"). */
bool url_has_scheme(const char *text);
/* Where a redirect from `from` leads: DENIED when it changes the scheme or goes from elsewhere
 * to this machine. */
tars_status url_redirect(const url *from, const char *target, url *out, tars_error *err);
/* The URL of hf:org/repo/file: `endpoint` (NULL: https://huggingface.co)
 * /org/repo/resolve/main/file. */
tars_status url_of_hf(const char *location, const char *endpoint, char out[URL_BYTES],
                      tars_error *err);

#endif
