/* The program `julia` of Julia 1.6: the loader in libjulia does everything. Code of 1.6 finds its
   thread-local state through a function of the program, if there is one: that is fast, and an image
   that was compiled for it needs it. */

int jl_load_repl(int argc, char **argv);

static __thread char state[64 << 10] __attribute__((aligned(64)));

void *jl_get_ptls_states_static(void);
void *jl_get_ptls_states_static(void) { return state; }

int main(int argc, char **argv) { return jl_load_repl(argc, argv); }
