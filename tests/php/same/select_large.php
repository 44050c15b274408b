<?php
// Arrays large enough to be followed from call to call, put through every change that a script makes.
// Whatever happens, each call says what poll(2) on the spot would: the same as on stock PHP.
require __DIR__ . '/../report.php';
mt_srand(7);
$listener = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12,
    stream_context_create(['socket' => ['backlog' => 300]]));
$address = 'tcp://' . stream_socket_get_name($listener, false);
$clients = $ends = [];
$named = 0;
function connect(): void
{
    global $listener, $address, $clients, $ends, $named;
    $name = 'c' . $named++;
    $ends[$name] = stream_socket_client($address);
    $clients[$name] = stream_socket_accept($listener, 5);
}
function look(?array $read, ?array $write = null, ?array $except = null): void
{
    // Bytes over loopback are there once they are sent.
    $count = attempt(function () use (&$read, &$write, &$except) {
        return stream_select($read, $write, $except, 0, 0);
    });
    $keys = fn (?array $set) => $set === null ? null : implode(' ', array_keys($set));
    say([$count, $keys($read), $keys($write), $keys($except)]);
}
for ($count = 0; $count < 150; $count++) {
    connect();
}
// Nothing, twice and more: the same array, as a script's loop passes it.
look($clients);
look($clients);
look($clients);
fwrite($ends['c3'], "a line\nand more\n");
fwrite($ends['c90'], 'x');
look($clients);
look($clients);
// Bytes that PHP has read and the script has not.
say(fgets($clients['c3']), fread($clients['c90'], 10));
// Stock PHP hides others behind these, so that there are none.
look($clients);
say(fgets($clients['c3']));
look($clients);
// In several arrays, and twice in one.
fwrite($ends['c5'], 'x');
look($clients, ['one' => $clients['c5'], 'two' => $clients['c6']], $clients);
look($clients + ['again' => $clients['c5']]);
say(fread($clients['c5'], 10));
look(array_values($clients), $clients);
look(array_reverse($clients, true));
// Urgent bytes, and a hang-up that only concerns who reads.
stream_socket_sendto($ends['c8'], '!', STREAM_OOB);
look(null, null, $clients);
say(stream_socket_recvfrom($clients['c8'], 1, STREAM_OOB));
look(null, null, $clients);
fclose($ends['c9']);
stream_socket_shutdown($clients['c9'], STREAM_SHUT_RDWR);
look(null, null, $clients);
look($clients);
// Closed and left in the array, and taken out.
fclose($clients['c9']);
look($clients);
look($clients);
unset($clients['c9'], $ends['c9']);
look($clients);
// A new connection on the descriptor of one that was closed.
fclose($clients['c10']);
fclose($ends['c10']);
unset($clients['c10'], $ends['c10']);
connect();
fwrite(end($ends), 'new');
look($clients);
say(fread(end($clients), 10));
// Not closed, but let go: the other end hears of it, though the array was followed.
unset($clients['c11']);
usleep(20000);
say(feof($ends['c11']));
look($clients);
// By reference, and among others.
$moved = $clients['c12'];
$clients['c12'] = &$moved;
look($clients);
$moved = $clients['c13'];
fwrite($ends['c13'], 'x');
look($clients);
say(fread($moved, 10));
unset($clients['c12']);
// A list: what is put into it in place of something else, or where a reference stands.
$last = array_key_last($clients);
$list = array_slice(array_values($clients), 0, 100);
look($list);
look($list);
fwrite($ends[$last], 'x');
look($list);
$list[20] = $clients[$last];
look($list);
look($list);
$moved = $list[20];
$list[20] = &$moved;
look($list);
look($list);
$moved = $list[21];
look($list);
$moved = $clients[$last];
look($list);
say(fread($clients[$last], 10));
look($list);
unset($list, $moved);
// Files, pipes, stock streams and listeners stand among them.
$pipe = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$mixed = ['file' => fopen(__FILE__, 'r')] + $clients + ['pipe' => $pipe[0], 'listener' => $listener];
look($mixed, $mixed);
fwrite($pipe[1], 'x');
unset($mixed['file']);
look($mixed);
$waiting = stream_socket_client($address);
look($mixed);
look($mixed + ['text' => 'no stream', 'memory' => fopen('php://memory', 'r')]);
fclose(stream_socket_accept($listener, 5));
fread($pipe[0], 10);
// A descriptor that ext/sockets has, and closes.
socket_close(socket_import_stream($clients['c14']));
unset($clients['c14']);
look($clients);
// A child of a fork has a set of its own.
$child = pcntl_fork();
if ($child === 0) {
    $left = array_slice($clients, 10);
    look($left);
    foreach (array_slice(array_keys($left), 0, 40) as $name) {
        fclose($left[$name]);
        unset($left[$name], $clients[$name]);
    }
    look($left);
    look($left);
    posix_kill(posix_getpid(), SIGKILL);
}
pcntl_waitpid($child, $status);
look($clients);
fwrite($ends['c60'], 'x');
look($clients);
say(fread($clients['c60'], 10));
// Now by chance.
for ($turn = 0; $turn < 300; $turn++) {
    $names = array_keys($clients);
    $name = $names[mt_rand(0, count($names) - 1)];
    switch (mt_rand(0, 7)) {
        case 0:
            connect();
            break;
        case 1:
            fclose($clients[$name]);
            unset($clients[$name], $ends[$name]);
            break;
        case 2:
            unset($clients[$name], $ends[$name]);
            break;
        case 3:
            fclose($ends[$name]);
            break;
        case 4:
            $clients = array_reverse($clients, true);
            break;
        default:
            is_resource($ends[$name]) && fwrite($ends[$name], "line $turn\n");
    }
    $read = $clients;
    $none = null;
    $count = stream_select($read, $none, $none, 0, 0);
    say("$turn $count " . implode(' ', array_keys($read)));
    foreach ($read as $name => $client) {
        if (fread($client, 8192) === '') {
            fclose($client);
            unset($clients[$name], $ends[$name]);
        }
    }
}
