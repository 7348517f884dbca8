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

/* Days since 1970-01-01 as a date: years of the Gregorian calendar repeat after 400, and one that
 * begins in March has its leap day at the end. */
static void write_date(text_buffer *text, int64_t days) {
    enum { DAYS_OF_400_YEARS = 146097, DAYS_TO_1970 = 719468 };
    int64_t since = days + DAYS_TO_1970;
    int64_t era = since / DAYS_OF_400_YEARS;
    int64_t day = since % DAYS_OF_400_YEARS;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0: March */
    int64_t day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    bool is_next_year = month >= 10;
    int64_t full_year = 400 * era + year + is_next_year;
    int64_t full_month = is_next_year ? month - 9 : month + 3;
    text_format(text, "%04lld-%02lld-%02lld", (long long)full_year, (long long)full_month,
                (long long)day_of_month);
}

void number_text_time(text_buffer *text, int64_t unix_s) {
    enum { DAY_S = 86400 };
    const int64_t year_10000_s = INT64_C(253402300800);
    if (unix_s < 0 || unix_s >= year_10000_s) {
        return;
    }
    int64_t s = unix_s % DAY_S;
    write_date(text, unix_s / DAY_S);
    text_format(text, "T%02lld:%02lld:%02lldZ", (long long)(s / 3600), (long long)(s / 60 % 60),
                (long long)(s % 60));
}
