<?php
// Opens and closes, and looks whether anything stays: php soak.php CYCLES SECONDS.
// A tenth of the cycles is for what is made once.
[, $cycles, $seconds] = $argv;
$listeners = [
    'tcp' => stream_socket_server('tcp://127.0.0.1:0'),
    'unix' => stream_socket_server("unix://\0stream_socket_soak." . getmypid()),
];
$datagrams = stream_socket_server('udp://127.0.0.1:0', $errno, $errstr, STREAM_SERVER_BIND);
$addresses = [
    'tcp' => 'tcp://' . stream_socket_get_name($listeners['tcp'], false),
    'unix' => "unix://\0stream_socket_soak." . getmypid(),
    'udp' => 'udp://' . stream_socket_get_name($datagrams, false),
];
function cycle(string $transport): void
{
    global $listeners, $addresses;
    $client = stream_socket_client($addresses[$transport]);
    $served = stream_socket_accept($listeners[$transport], 5, $peer);
    if (fwrite($served, "a line\nand more") !== 15 || fgets($client) !== "a line\n") {
        exit("a cycle went wrong\n");
    }
    // What is not read makes this a reset, which leaves no port behind in TIME_WAIT.
    fclose($client);
    fclose($served);
}
function rarely(): void
{
    global $datagrams, $addresses;
    $client = stream_socket_client($addresses['udp']);
    fwrite($client, 'question');
    $served = stream_socket_accept($datagrams, 5);
    fwrite($served, fread($served, 100));
    fread($client, 100) === 'question' or exit("datagrams went wrong\n");
    @stream_socket_client('tcp://127.0.0.1:1');
    @stream_socket_client('unix:///nonexistent/s');
    @stream_socket_accept($datagrams, 0);
    @stream_socket_server('tcp://127.0.0.1:99999');
    // Arrays large enough to be followed, in the place of others.
    $pairs = [];
    for ($count = 0; $count < 40; $count++) {
        array_push($pairs, ...stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0));
        $pairs[] = stream_socket_client($addresses['udp']);
    }
    for ($count = 0; $count < 3; $count++) {
        [$read, $write, $except] = [$pairs, $pairs, null];
        stream_select($read, $write, $except, 0);
        array_pop($pairs);
    }
}
/** Bytes of PHP's, KB of the process, descriptors. */
function used(): array
{
    gc_collect_cycles();
    preg_match('/VmRSS:\s+(\d+)/', file_get_contents('/proc/self/status'), $resident);
    return [memory_get_usage(), (int) $resident[1], count(scandir('/proc/self/fd'))];
}
$end = microtime(true) + $seconds;
$before = null;
for ($cycle = 0; $cycle < $cycles && microtime(true) < $end; $cycle++) {
    cycle($cycle % 2 ? 'tcp' : 'unix');
    if ($cycle % 1000 === 0) {
        rarely();
    }
    if ($cycle === (int) ($cycles / 10)) {
        $before = used();
    }
}
$before !== null or exit("only $cycle cycles, too few to tell\n");
$after = used();
[$bytes, $resident, $descriptors] = array_map(fn ($one, $other) => $other - $one, $before, $after);
echo "$cycle cycles: $bytes bytes of PHP's, $resident KB resident, $descriptors descriptors more\n";
// Pages come and go a little; a byte a cycle is a megabyte.
exit($bytes > 1024 || $resident > 512 || $descriptors !== 0 ? 1 : 0);
