#include "cli/number_text.h"

#include <math.h>
#include <stdio.h>

void number_text_decimal(text_buffer *text, double value, unsigned decimals) {
    char number[64];
    if (!isfinite(value)) {
        text_append_string(text, "-");
        return;
    }
    snprintf(number, sizeof number, fabs(value) < 1e15 ? "%.*f" : "%.*e", (int)decimals, value);
    text_append_string(text, number);
}

void number_text_bytes(text_buffer *text, uint64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        text_format(text, "%llu B", (unsigned long long)bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    number_text_decimal(text, value, 1);
    text_format(text, " %s", units[unit]);
}

void number_text_count(text_buffer *text, uint64_t count) {
    static const char *const units[] = {" K", " M", " B", " T"};
    double value = (double)count;
    if (count < 10000) {
        text_format(text, "%llu", (unsigned long long)count);
        return;
    }
    size_t unit = 0;
    value /= 1000;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    number_text_decimal(text, value, 1);
    text_append_string(text, units[unit]);
}

void number_text_seconds(text_buffer *text, double seconds) {
    if (!(seconds < 360000)) {
        text_append_string(text, "days");
        return;
    }
    unsigned whole = (unsigned)(seconds + 0.5);
    if (whole < 60) {
        text_format(text, "%u s", whole);
    } else if (whole < 3600) {
        text_format(text, "%u min %02u s", whole / 60, whole % 60);
    } else {
        text_format(text, "%u h %02u min", whole / 3600, whole % 3600 / 60);
    }
}
