/* oneDNN: product, softmax, product, each a primitive of its own; scale, cap and what is added to the scores are
 * post-operations of the first product, and so is the sigmoid.  The scores, [heads, rows, keys], are an array between.
 *
 * A plan is made once and run many times.  Errors: NULL or non-zero, the message by onednn_why. */
#include <dnnl.hpp>

#include <memory>
#include <string>

using namespace dnnl;
using dims = memory::dims;

namespace {

std::string why;

struct Plan {
  engine cpu{engine::kind::cpu, 0};
  stream line{cpu};
  bool sigmoid;
  matmul score, value;
  softmax_forward normalise;
  memory q, k, v, s, o, added;
};

memory::desc f32(dims shape, memory::format_tag tag) { return {shape, memory::data_type::f32, tag}; }

primitive_attr after_scores(float scale, float cap, bool sigmoid, float shift, const memory::desc *added) {
  post_ops then;
  then.append_eltwise(algorithm::eltwise_linear, cap > 0 ? scale / cap : scale, sigmoid ? shift : 0);
  if (cap > 0) {
    then.append_eltwise(algorithm::eltwise_tanh, 0, 0);
    then.append_eltwise(algorithm::eltwise_linear, cap, 0);
  }
  if (added) then.append_binary(algorithm::binary_add, *added);
  if (sigmoid) then.append_eltwise(algorithm::eltwise_logistic, 0, 0);
  primitive_attr attr;
  attr.set_post_ops(then);
  return attr;
}

} // namespace

extern "C" {

const char *onednn_why() { return why.c_str(); }

const char *onednn_version() {
  const dnnl_version_t *v = dnnl_version();
  static std::string text;
  text = std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  return text.c_str();
}

/* q [heads, rows, d], k and v [heads, keys, d], added [heads, rows, keys] or NULL; cap 0: none. */
void *onednn_plan(int64_t heads, int64_t rows, int64_t keys, int64_t d, float scale, float cap, int sigmoid,
                  float shift, float *added) try {
  auto plan = std::make_unique<Plan>();
  plan->sigmoid = sigmoid;
  using tag = memory::format_tag;
  const memory::desc q = f32({heads, rows, d}, tag::abc), k = f32({heads, d, keys}, tag::acb);
  const memory::desc s = f32({heads, rows, keys}, tag::abc), v = f32({heads, keys, d}, tag::abc);
  const memory::desc o = f32({heads, rows, d}, tag::abc), a = f32({heads, rows, keys}, tag::abc);
  const engine &cpu = plan->cpu;
  const primitive_attr then = after_scores(scale, cap, sigmoid, shift, added ? &a : nullptr);
  plan->score = matmul(matmul::primitive_desc(cpu, q, k, s, then));
  plan->value = matmul(matmul::primitive_desc(cpu, s, v, o));
  plan->normalise = softmax_forward(softmax_forward::primitive_desc(
      cpu, prop_kind::forward_inference, algorithm::softmax_accurate, s, s, 2));
  plan->q = memory(q, cpu, nullptr);
  plan->k = memory(k, cpu, nullptr);
  plan->v = memory(v, cpu, nullptr);
  plan->o = memory(o, cpu, nullptr);
  plan->s = memory(s, cpu);
  if (added) plan->added = memory(a, cpu, added);
  return plan.release();
} catch (const std::exception &e) {
  why = e.what();
  return nullptr;
}

int onednn_run(void *which, float *q, float *k, float *v, float *o) try {
  Plan &p = *static_cast<Plan *>(which);
  p.q.set_data_handle(q);
  p.k.set_data_handle(k);
  p.v.set_data_handle(v);
  p.o.set_data_handle(o);
  std::unordered_map<int, memory> args{{DNNL_ARG_SRC, p.q}, {DNNL_ARG_WEIGHTS, p.k}, {DNNL_ARG_DST, p.s}};
  if (p.added) {
    const int place = DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1; /* a cap and an addition never meet */
    args.insert({place, p.added});
  }
  p.score.execute(p.line, args);
  if (!p.sigmoid) p.normalise.execute(p.line, {{DNNL_ARG_SRC, p.s}, {DNNL_ARG_DST, p.s}});
  p.value.execute(p.line, {{DNNL_ARG_SRC, p.s}, {DNNL_ARG_WEIGHTS, p.v}, {DNNL_ARG_DST, p.o}});
  p.line.wait();
  return 0;
} catch (const std::exception &e) {
  why = e.what();
  return 1;
}

void onednn_free(void *which) { delete static_cast<Plan *>(which); }
}
