/* Generated tables of upper and title case; see tools/make_letter_case_tables.py. */
#ifndef ENGINE_TEMPLATE_LETTER_CASE_TABLES_H
#define ENGINE_TEMPLATE_LETTER_CASE_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* Code points first, first + stride … last; `delta` leads to the mapped character. Ascending. */
typedef struct letter_case_range {
    uint32_t first, last, stride;
    int32_t delta;
} letter_case_range;

/* Characters that become up to three in upper or title case; unused places are 0. Ascending. */
typedef struct letter_case_special {
    uint32_t code_point;
    uint32_t upper[3], title[3];
} letter_case_special;

/* title holds only what differs from upper; other_upper and other_lower are cased characters whose
 * category says neither Lu nor Ll. */
extern const letter_case_range letter_case_upper[], letter_case_title[], letter_case_other_upper[],
    letter_case_other_lower[];
extern const size_t letter_case_upper_count, letter_case_title_count, letter_case_other_upper_count,
    letter_case_other_lower_count;
extern const letter_case_special letter_case_specials[];
extern const size_t letter_case_specials_count;

#endif
