<?php
// A program on an accepted stream, and children that serve after a fork.
require __DIR__ . '/../report.php';
[$client, $served, $listener] = connected();
$program = proc_open(['tr', 'a-z', 'A-Z'], [$served, $served, STDERR], $pipes);
fclose($served);
fwrite($client, "shout\n");
stream_socket_shutdown($client, STREAM_SHUT_WR);
say(stream_get_contents($client), proc_close($program));
// One that waits longer than PHP would have.
[$client, $served, $kept] = connected();
stream_set_timeout($served, 0, 100000);
say(fgets($served), stream_get_meta_data($served)['timed_out']);
$program = proc_open(['cat'], [$served, $served, STDERR], $pipes);
fclose($served);
usleep(300000);
fwrite($client, "late\n");
stream_socket_shutdown($client, STREAM_SHUT_WR);
say(stream_get_contents($client), proc_close($program));
$address = 'tcp://' . stream_socket_get_name($listener, false);
$children = [];
for ($count = 0; $count < 2; $count++) {
    $child = pcntl_fork();
    if ($child === 0) {
        $served = stream_socket_accept($listener, 5);
        $read = [$served];
        $none = null;
        stream_select($read, $none, $none, 5);
        fwrite($served, 'heard ' . fgets($served));
        fclose($served);
        // Without the report of the parent's shutdown functions.
        posix_kill(posix_getpid(), SIGKILL);
    }
    $children[] = $child;
}
for ($count = 0; $count < 2; $count++) {
    $client = stream_socket_client($address);
    fwrite($client, "number $count\n");
    say(stream_get_contents($client));
}
array_map(fn ($child) => pcntl_waitpid($child, $status), $children);
