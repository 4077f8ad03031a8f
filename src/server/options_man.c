/* server/options_man.c: dispatch-server(8), from the table of options. */
#include "base/roff.h"
#include "server/options.h"

#include <stdio.h>

static void put_option(void *arg, const char *name, const char *variable, const char *initial, bool has_value,
                       const char *help)
{
        struct roff *roff = arg;
        char term[128], text[1024];

        snprintf(term, sizeof(term), "--%s%s", name, has_value ? " VALUE" : "");
        snprintf(text, sizeof(text), "%s%s%s%s%s%s", help,
                 has_value && initial[0] != '\0' ? " (default " : "", has_value ? initial : "",
                 has_value && initial[0] != '\0' ? ")" : "", variable != NULL ? "; variable " : "",
                 variable != NULL ? variable : "");
        roff_item(roff, term, text);
}

enum err_code options_man(struct buf *out)
{
        struct roff roff = {.out = out};
        char date[ROFF_DATE_LEN];

        roff_date(date);
        roff_title(&roff, "dispatch-server", 8, date, "Dispatch");
        roff_heading(&roff, "NAME");
        roff_text(&roff, "dispatch-server - run serverless functions, and serve their API");
        roff_heading(&roff, "SYNOPSIS");
        roff_text(&roff, "dispatch-server [--OPTION VALUE | --OPTION=VALUE]...\n\n"
                         "dispatch-server base-image LANGUAGE [OPTION]...");
        roff_heading(&roff, "DESCRIPTION");
        roff_text(
                &roff,
                "Serves the API of Dispatch and the endpoints of its functions, and runs each function in a "
                "sandbox of its own. It needs root, or a user that may make user namespaces, for the "
                "sandboxes; "
                "the process that speaks HTTP has no rights. It is ready when it says so on standard "
                "error.\n\n"
                "Options win over the environment, that over the configuration file, that over the defaults. "
                "An "
                "unknown option or key is an error. In the configuration file, YAML or JSON, an option's key "
                "is "
                "its name without the dashes.");
        roff_text(&roff,
                  "The second form makes a base image from Debian's packages; with --help it says how.");
        roff_heading(&roff, "OPTIONS");
        options_describe(put_option, &roff);
        roff_heading(&roff, "ENVIRONMENT");
        roff_text(&roff, "The variable of an option stands beside it.");
        roff_heading(&roff, "FILES");
        roff_item(&roff, "/var/lib/dispatch",
                  "All that must survive a restart, unless --state-dir names another folder.");
        roff_heading(&roff, "SIGNALS");
        roff_text(&roff, "SIGTERM and SIGINT end it: what is running may finish first.");
        roff_heading(&roff, "SEE ALSO");
        roff_text(&roff, "dispatch(1)");
        return roff.code;
}
