<?php
// What takes a wait's time: another process that took the connection, and a signal.
require __DIR__ . '/../report.php';

/** A child that does something a little later, and is then gone. */
function child(callable $what): int
{
    $child = pcntl_fork();
    if ($child === 0) {
        $what();
        // Without the report of the parent's shutdown functions.
        posix_kill(posix_getpid(), SIGKILL);
    }
    return $child;
}

/** Signals this process every few milliseconds, for three tenths of a second. */
function signals(): int
{
    $parent = getmypid();
    return child(function () use ($parent) {
        for ($count = 0; $count < 15; $count++) {
            usleep(20000);
            posix_kill($parent, SIGUSR1);
        }
    });
}

pcntl_signal(SIGUSR1, fn () => null);
[$client, $served] = connected();
stream_set_timeout($served, 0, 100000);
$child = signals();
say(fread($served, 9), stream_get_meta_data($served)['timed_out']);
$is_signalled = pcntl_waitpid($child, $status, WNOHANG) === 0;
say($is_signalled ? 'in time' : 'when the signals had ended');
if ($is_signalled) {
    pcntl_waitpid($child, $status);
}
// Whom a connection wakes and who is too late, stock PHP leaves to wait for the next one. Luck
// decides whether anyone is, so that it is not asked.
if (extension_loaded('stream_socket')) {
    $server = stream_socket_server('tcp://127.0.0.1:0');
    $late = array_map(fn () => child(fn () => @stream_socket_accept($server, 0.1)), range(1, 8));
    usleep(50000);
    $client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
    for ($turn = 0, $waiting = $late; $waiting && $turn < 100; $turn++) {
        usleep(20000);
        $waiting = array_filter($waiting, fn (int $child) => pcntl_waitpid($child, $status, WNOHANG) === 0);
    }
    say('still waiting: ' . count($waiting));
    foreach ($waiting as $child) {
        posix_kill($child, SIGKILL);
        pcntl_waitpid($child, $status);
    }
}
