/* Runs a template's tree: expressions (evaluate.c), calls (call.c) and statements (render.c). */
#ifndef ENGINE_TEMPLATE_EVALUATE_H
#define ENGINE_TEMPLATE_EVALUATE_H

#include "engine/template/machine.h"

bool template_evaluate(template_machine *m, const template_node *node, template_frame *frame,
                       template_value *out);
/* Sets the names of a target, unpacking tuples. */
bool template_assign(template_machine *m, const template_node *target, template_frame *frame,
                     const template_value *value);

/* ---- frames: the values of a scope's names ---- */
template_frame *template_make_frame(template_machine *m, const template_scope *scope,
                                    template_frame *parent);
/* Gives each name the value it has when the scope is entered; parameters become missing. */
bool template_reload_frame(template_machine *m, template_frame *frame);

/* ---- calls ---- */
bool template_evaluate_arguments(template_machine *m, const template_call_arguments *code,
                                 template_frame *frame, template_arguments *out);
bool template_call_value(template_machine *m, const template_value *callee,
                         const template_arguments *arguments, template_value *out);
bool template_call_node(template_machine *m, const template_node *node, template_frame *frame,
                        const template_keyword *extra, template_value *out);

/* ---- statements ---- */
typedef enum template_flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED } template_flow;

template_flow template_run(template_machine *m, const template_node *body, template_frame *frame);
/* Runs the body with its output collected in *out. */
template_flow template_run_captured(template_machine *m, const template_node *body,
                                    template_frame *frame, template_value *out);

#endif
