/* Words that would drive a terminal, on both channels. */
#include "escape.h"

int main(void) {
    fputs("\x1b[2J\x1b]0;title\x07plain\n", stdout);
    fputs("\x1b[31mred\r\n\x7f\xc2\x9b"
          "2J\xe2\x80\xae",
          stderr);
    return 0;
}
