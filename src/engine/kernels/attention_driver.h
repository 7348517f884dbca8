/* The frame of attention for kernels with vectors: included once by a file that has defined
 *
 *   static inline void attend_segment(const attention_task *task, kv_type type, size_t segment,
 *                                     size_t n_segments, size_t visible, int n);
 *   ATTENTION_COMBINE   attention_combine, or the file's own with the same arguments
 *
 * so that all of it is compiled for the file's instructions, with type and number of queries
 * known. Ownership: pure functions of the caller's memory. */
#ifndef ENGINE_ATTENTION_DRIVER_H
#define ENGINE_ATTENTION_DRIVER_H

#include "engine/kernels/attention_parts.h"

#define ATTENTION_INLINE static inline __attribute__((always_inline))

ATTENTION_INLINE void attend(const attention_task *task, kv_type type, int n) {
    size_t row = task->head_dim_v + 2;
    size_t visible = 0;
    for (int i = 0; i < n; i++) {
        visible = task->n_visible[i] > visible ? task->n_visible[i] : visible;
    }
    size_t n_segments = (visible + 255) / 256;
    for (size_t s = 0; s < n_segments; s++) {
        attend_segment(task, type, s, n_segments, visible, n);
    }
    const float *segments = task->scratch + KERNEL_QUERY_TILE * 256;
    for (int i = 0; i < n; i++) {
        ATTENTION_COMBINE(segments + (size_t)i * n_segments * row, row,
                          (task->n_visible[i] + 255) / 256, task->head_dim_v, task->out[i]);
    }
}

ATTENTION_INLINE void attend_typed(const attention_task *task, kv_type type) {
    switch (task->n_queries) {
    case 1:
        attend(task, type, 1);
        break;
    case 2:
        attend(task, type, 2);
        break;
    case 3:
        attend(task, type, 3);
        break;
    default:
        attend(task, type, 4);
        break;
    }
}

static void attention_f16(const attention_task *task) {
    attend_typed(task, KV_F16);
}
static void attention_f32(const attention_task *task) {
    attend_typed(task, KV_F32);
}

static void attention(const attention_task *task) {
    (task->type == KV_F16 ? attention_f16 : attention_f32)(task);
}

#endif
