/* Numbers for people. Everything for programs goes through json.h instead. */
#ifndef CLI_NUMBER_TEXT_H
#define CLI_NUMBER_TEXT_H

#include "base/text.h"

/* "96.0 MiB", "512 B" */
void number_text_bytes(text_buffer *text, uint64_t bytes);
/* "134.5 M", "1.1 B" (thousand millions), "812" */
void number_text_count(text_buffer *text, uint64_t count);
/* "42 s", "3 min 05 s", "2 h 10 min" */
void number_text_seconds(text_buffer *text, double seconds);
/* "2026-01-31T23:59:59Z"; nothing for a time before 1970 or after 9999. */
void number_text_time(text_buffer *text, int64_t unix_s);
/* With so many digits after the point; rounds to nearest. "-" when it is not finite. */
void number_text_decimal(text_buffer *text, double value, unsigned decimals);

#endif
