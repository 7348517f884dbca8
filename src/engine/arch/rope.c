/* RoPE frequencies, computed once at import (arithmetic.md rule 13). */
#include "engine/arch/arch.h"
#include "engine/arith.h"

/* Yarn (Peng et al., 2023, § 3.2): the dimension at which `rotations` full turns happen over the
 * original context. */
static double yarn_dimension(double n_dims, double context, double rotations, double base) {
    const double two_pi = 6.28318530717958647692;
    return n_dims * arith_log64(context / (rotations * two_pi)) / (2.0 * arith_log64(base));
}

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

static double floor_of(double x) {
    double truncated = (double)(int64_t)x;
    return truncated > x ? truncated - 1.0 : truncated;
}

typedef struct rope_scaling {
    bool is_yarn;
    float factor;
    float attention_factor;
    float beta_fast, beta_slow;
    uint32_t original_context;
} rope_scaling;

static tars_status read_scaling(const gguf_file *file, const model_hparams *p, rope_scaling *s,
                                tars_error *err) {
    *s = (rope_scaling){.factor = 1.0f, .attention_factor = 1.0f};
    gguf_text kind = {"none", 4};
    const gguf_key *key = gguf_find_for_architecture(file, "rope.scaling.type");
    bool known = !key || gguf_key_text(key, &kind);
    s->is_yarn = known && gguf_text_equals(kind, "yarn");
    bool is_linear = known && gguf_text_equals(kind, "linear");
    if (!s->is_yarn && !is_linear && !gguf_text_equals(kind, "none")) {
        error_set(err, TARS_UNSUPPORTED, "RoPE scaling \"%.*s\" is not supported",
                  known ? (int)(kind.length < 40 ? kind.length : 40) : 1, known ? kind.bytes : "?");
        error_where(err, "rope.scaling.type");
        error_hint(err, "supported: none, linear, yarn");
        return TARS_UNSUPPORTED;
    }
    /* an old key for linear scaling; the newer one wins */
    tars_status status =
        arch_key_f32(file, "rope.scale_linear", 1.0f, 1e-6f, 1e6f, &s->factor, err);
    if (status == TARS_OK && (s->is_yarn || is_linear)) {
        status = arch_key_f32(file, "rope.scaling.factor", s->factor, 1e-6f, 1e6f, &s->factor, err);
    }
    if (status == TARS_OK && s->is_yarn) {
        status = arch_key_u32(file, "rope.scaling.original_context_length", p->context_length, 1,
                              MODEL_MAX_CONTEXT, &s->original_context, err);
    }
    if (status == TARS_OK) {
        status = arch_key_f32(file, "rope.scaling.attn_factor", 1.0f, 1e-6f, 1e6f,
                              &s->attention_factor, err);
    }
    if (status == TARS_OK) {
        status = arch_key_f32(file, "rope.scaling.yarn_beta_fast", 32.0f, 1e-3f, 1e6f,
                              &s->beta_fast, err);
    }
    if (status == TARS_OK) {
        status = arch_key_f32(file, "rope.scaling.yarn_beta_slow", 1.0f, 1e-3f, 1e6f, &s->beta_slow,
                              err);
    }
    return status;
}

tars_status arch_rope_scaled(const gguf_file *file, model_hparams *p, const float *factors,
                             double *frequency, tars_error *err) {
    float base = 0;
    rope_scaling s;
    tars_status status = arch_key_f32(file, "rope.freq_base", 10000.0f, 1.0f, 1e12f, &base, err);
    if (status == TARS_OK) {
        status = read_scaling(file, p, &s, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    double n_dims = p->rope_dim;
    double low = 0;
    double high = 0;
    if (s.is_yarn) {
        double context = s.original_context;
        low = floor_of(yarn_dimension(n_dims, context, (double)s.beta_fast, (double)base));
        high = -floor_of(-yarn_dimension(n_dims, context, (double)s.beta_slow, (double)base));
        low = clamp(low, 0.0, n_dims - 1.0);
        high = clamp(high, 0.0, n_dims - 1.0);
        if (s.factor > 1.0f) {
            double magnitude = 1.0 + 0.1 * arith_log64((double)s.factor);
            p->rope_magnitude = (float)(magnitude * (double)s.attention_factor);
        }
    } else {
        p->rope_magnitude = s.attention_factor;
    }
    for (uint32_t i = 0; i < p->rope_dim / 2; i++) {
        double f = arith_pow64((double)base, -2.0 * (double)i / n_dims);
        if (factors) {
            f /= (double)factors[i];
        }
        double scaled = f / (double)s.factor;
        if (s.is_yarn) {
            double width = high - low;
            double ramp = ((double)i - low) / (width > 0.001 ? width : 0.001);
            double keep = 1.0 - clamp(ramp, 0.0, 1.0); /* 1: unscaled, 0: scaled */
            double slow = scaled * (1.0 - keep);
            double fast = f * keep;
            scaled = slow + fast;
        }
        frequency[i] = scaled;
    }
    return TARS_OK;
}
