/* fuzz/engine_several.c: engine_agent.c with several runs in one instance. */
#define RUNS 4
#include "engine_agent.c"
