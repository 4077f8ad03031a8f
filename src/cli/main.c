/* cli/main.c: the program `dispatch`. */
#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
        /* Widths of characters follow the terminal; the names of days and months must stay the original's. */
        setlocale(LC_CTYPE, "");
        /* A reader that went away shows as a failed write, not as a signal. */
        signal(SIGPIPE, SIG_IGN);
        return cli_main(argc, argv, stdout, stderr, STDIN_FILENO);
}
