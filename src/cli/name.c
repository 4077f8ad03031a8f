/* cli/name.c: names for what nobody named: two words and six digits. */
#include "cli/name.h"

#include "base/random.h"

#include <stdint.h>

static const char *const first_words[] = {
        "able",  "brave", "calm",   "clear", "cool",  "eager", "early", "fair",  "fast",  "fine",   "free",
        "fresh", "glad",  "golden", "good",  "grand", "green", "happy", "jolly", "keen",  "kind",   "large",
        "light", "lucky", "merry",  "neat",  "nice",  "plain", "proud", "quick", "quiet", "steady",
};
static const char *const second_words[] = {
        "acorn", "badger", "beaver", "birch", "brook", "cedar", "cliff", "cloud", "crane", "daisy",  "eagle",
        "elm",   "falcon", "fern",   "finch", "fox",   "grove", "hazel", "heron", "ivy",   "lake",   "lark",
        "maple", "meadow", "oak",    "otter", "pine",  "raven", "river", "robin", "stone", "willow",
};

const char *name_random(struct arena *arena)
{
        uint32_t random[3];

        random_fill(random, sizeof(random));
        return arena_printf(arena, "%s-%s-%06u", first_words[random[0] % 32], second_words[random[1] % 32],
                            (unsigned)(random[2] % 1000000));
}
