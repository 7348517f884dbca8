#include "platform/internal.h"

#include <stdio.h>
#include <string.h>

/* What one line of /proc/self/smaps says. */
static bool read_range(const char *line, uint64_t *start, uint64_t *end) {
    unsigned long long a, b;
    char permission;
    if (sscanf(line, "%llx-%llx %c", &a, &b, &permission) != 3) {
        return false;
    }
    *start = a;
    *end = b;
    return true;
}

static void add_line(const char *line, platform_page_report *out) {
    const struct {
        const char *key;
        uint64_t *sum;
    } rows[] = {{"Rss:", &out->resident_bytes},
                {"FilePmdMapped:", &out->file_huge_bytes},
                {"AnonHugePages:", &out->anonymous_huge_bytes}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned long long kib;
        size_t length = strlen(rows[i].key);
        if (strncmp(line, rows[i].key, length) == 0 && sscanf(line + length, "%llu", &kib) == 1) {
            *rows[i].sum += (uint64_t)kib << 10;
        }
    }
}

static const char *kind_of(const platform_page_report *report) {
    if (report->resident_bytes == 0) {
        return "untouched";
    }
    uint64_t half = report->resident_bytes / 2;
    return report->file_huge_bytes > half        ? "file-huge"
           : report->anonymous_huge_bytes > half ? "anonymous-huge"
                                                 : "small";
}

tars_status platform_mapping_pages(const platform_mapping *mapping, platform_page_report *out,
                                   tars_error *err) {
    *out = (platform_page_report){.kind = "untouched"};
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (!smaps) {
        return error_set(err, TARS_UNAVAILABLE, "cannot read /proc/self/smaps");
    }
    uint64_t first = (uint64_t)(uintptr_t)mapping->bytes;
    uint64_t last = first + mapping->size_bytes;
    bool inside = false;
    char line[8192]; /* a line holds a path at most */
    while (fgets(line, sizeof line, smaps)) {
        uint64_t start, end;
        if (read_range(line, &start, &end)) {
            inside = start < last && end > first;
        } else if (inside) {
            add_line(line, out);
        }
    }
    (void)fclose(smaps);
    out->kind = kind_of(out);
    return TARS_OK;
}
