/* runtimes/agent/process.c: the agent as a process: SIGTERM, and the children that handlers fork. */
#include "runtimes/agent/agent_impl.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* The agent of this process: the signal and fork handlers have no argument. */
static struct agent *the_agent;

static void on_sigterm(int signum)
{
        int saved = errno;

        if (getpid() != the_agent->pid) { /* a child of the handler's, so early that nobody reset it */
                signal(signum, SIG_DFL);
                raise(signum);
                return;
        }
        if (write(the_agent->wake[1], "", 1) < 0)
                errno = 0; /* full: it was told before */
        errno = saved;
}

/* A child that the handler forked is ended by SIGTERM like any other, and must not wake its parent. */
static void forget_sigterm(void)
{
        struct sigaction now;

        if (sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == on_sigterm)
                signal(SIGTERM, SIG_DFL);
        close(the_agent->wake[0]);
        close(the_agent->wake[1]);
}

static void before_fork(void)
{
        if (the_agent != NULL && !the_agent->parked)
                pthread_mutex_lock(&the_agent->lock);
}

static void after_fork_parent(void)
{
        if (the_agent != NULL && !the_agent->parked)
                pthread_mutex_unlock(&the_agent->lock);
}

static void after_fork_child(void)
{
        if (the_agent == NULL || the_agent->parked)
                return;
        the_agent->child = true;
        the_agent->transport->ops->abandon(the_agent->transport);
        forget_sigterm();
        pthread_mutex_unlock(&the_agent->lock);
}

enum err_code process_watch(struct agent *agent, struct err *err)
{
        struct sigaction term = {.sa_handler = on_sigterm, .sa_flags = SA_RESTART},
                         ignore = {.sa_handler = SIG_IGN};

        if (pipe2(agent->wake, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_sys(err, "pipe");
        agent->pid = getpid();
        the_agent = agent;
        sigaction(SIGPIPE, &ignore, NULL);
        if (sigaction(SIGTERM, &term, NULL) < 0)
                return err_sys(err, "sigaction");
        return ERR_OK;
}

enum err_code process_renew(struct agent *agent, struct err *err)
{
        close(agent->wake[0]);
        close(agent->wake[1]);
        agent->wake[0] = agent->wake[1] = -1;
        if (pipe2(agent->wake, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_sys(err, "pipe");
        agent->pid = getpid();
        return ERR_OK;
}

enum err_code process_watch_forks(struct err *err)
{
        return pthread_atfork(before_fork, after_fork_parent, after_fork_child) == 0 ? ERR_OK
                                                                                     : err_nomem(err);
}

void process_forget(struct agent *agent)
{
        (void)agent;
        if (the_agent != NULL)
                forget_sigterm();
        the_agent = NULL;
}
