/* One run of a for loop: its items and the variable `loop`. */
#ifndef ENGINE_TEMPLATE_LOOP_H
#define ENGINE_TEMPLATE_LOOP_H

#include "engine/template/sequence.h"

typedef struct template_loop {
    const template_loop_code *code;
    template_iterator iterator;
    template_frame *test_frame; /* of the condition after `if`; NULL: none */
    template_value current;
    template_value before;
    template_value after; /* read ahead of its turn */
    bool has_after;
    bool finished;
    int64_t index0;         /* -1 before the first item */
    int64_t length;         /* of the whole loop; -1: not known yet */
    template_value changed; /* arguments of the last loop.changed(), a tuple; missing: none */
} template_loop;

/* The next item that passes the condition, as loop->current. *more false: none is left. */
bool template_loop_advance(template_machine *m, template_loop *loop, bool *more);
/* loop.NAME; *found false: there is no such attribute. */
bool template_loop_attribute(template_machine *m, template_loop *loop, template_text name,
                             template_value *out, bool *found);

#endif
