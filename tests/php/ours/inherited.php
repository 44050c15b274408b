<?php
// Sockets that PHP was started with: this script starts itself, and passes them on.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

/** Starts PHP with these sockets from 3 on; what it says. */
function child(string $part, array $sockets, string $variables): string
{
    $command = ['sh', '-c', "$variables exec \"\$@\"", 'sh', PHP_BINARY, __FILE__, $part];
    $spec = [['file', '/dev/null', 'r'], ['pipe', 'w']];
    foreach ($sockets as $index => $socket) {
        $spec[3 + $index] = $socket;
    }
    $process = proc_open($command, $spec, $pipes);
    $said = stream_get_contents($pipes[1]);
    proc_close($process);
    return $said;
}

/** An answer to whoever comes. */
function answer(mixed $listener): string
{
    $served = stream_socket_accept($listener, 60);
    $question = fread($served, 100);
    fwrite($served, strrev($question));
    return $question;
}

function type(mixed $stream): string
{
    return str_replace('/ssl', '', stream_get_meta_data($stream)['stream_type']);
}

/** What an attempt says of it. */
function refused(string $url, bool $server = true): array
{
    $stream = $server ? @stream_socket_server($url, $number, $text) : @stream_socket_client($url, $number, $text);
    return [$stream, $number, $text];
}

$parts = [
    'by number' => function () {
        $listener = stream_socket_server('fd://3');
        $peer = stream_socket_client('fd://4');
        say(type($listener), type($peer), answer($listener));
        fwrite($peer, 'to its parent');
        $datagrams = stream_socket_server('fd://5', $number, $text, STREAM_SERVER_BIND);
        say(type($datagrams), answer($datagrams));
        say(refused('fd://3'), refused('fd://987'), refused('fd://x'), refused('fd://3?backlog=7'));
        $own = stream_socket_server('tcp://127.0.0.1:0');
        $number = array_search(true, array_map(fn ($number) => @readlink("/proc/self/fd/$number")
            === 'socket:[' . fstat($own)['ino'] . ']', range(0, 40)), true);
        say(preg_replace('/\d+ was/', 'N was', refused("fd://$number")[2]), is_resource($own));
    },
    'over TLS' => function () {
        $ssl = ['local_cert' => certificate()];
        $context = stream_context_create(['ssl' => $ssl]);
        $flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
        $listener = stream_socket_server('tls+fd://3', $number, $text, $flags, $context);
        $path = socket_path();
        $unix = stream_socket_server("tls+unix://$path", $number, $text, $flags, $context);
        $trusting = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
        $child = pcntl_fork();
        if ($child === 0) {
            $name = 'tls://' . stream_socket_get_name($listener, false);
            $client = stream_socket_client($name, $number, $text, 30, STREAM_CLIENT_CONNECT, $trusting);
            fwrite($client, "secret\n");
            fgets($client);
            posix_kill(getmypid(), SIGKILL);
        }
        $served = stream_socket_accept($listener, 30);
        say(fgets($served), stream_get_meta_data($served)['crypto']['protocol']);
        posix_kill($child, SIGKILL);
        pcntl_waitpid($child, $status);
        $plain = stream_socket_client("unix://$path");
        fwrite($plain, "not TLS\n");
        say(@stream_socket_accept($unix, 0.1), stream_get_meta_data($unix)['handshakes']['failed']);
        say(refused('tls+unix://' . $path, false)[2]);
    },
    'by name' => function () {
        say(refused('systemd://webb'), refused('systemd://peer'));
        $listener = stream_socket_server('systemd://web');
        say(type($listener), answer($listener), refused('systemd://web'));
        say(refused('systemd://file', false));
    },
    'for another' => fn () => say(preg_replace('/not \d+/', 'not N', refused('systemd://web')[2])),
];
if (isset($argv[1])) {
    $parts[$argv[1]]();
    exit;
}

$path = socket_path();
$listener = stream_socket_server("unix://$path");
[$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$datagrams = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$client = stream_socket_client("unix://$path");
fwrite($client, 'olleh');
$asking = stream_socket_client('udp://' . stream_socket_get_name($datagrams, false));
fwrite($asking, 'margatad');
say(child('by number', [$listener, $theirs, $datagrams], ''), fread($client, 100), fread($asking, 100), fread($ours, 100));

$client = stream_socket_client("unix://$path");
fwrite($client, 'olleh');
$passed = 'LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=web:peer:file';
say(child('by name', [$listener, $theirs, fopen('/dev/null', 'r')], $passed), fread($client, 100));
$listener = stream_socket_server('tcp://127.0.0.1:0');
say(child('over TLS', [$listener], ''));
say(child('for another', [$listener], 'LISTEN_PID=1 LISTEN_FDS=1'));
say(refused('vsock://local'), refused('vsock://nobody:1', false), refused('vsock://any:any?backlog=3'));
// A kernel without vsock says so.
$machine = @stream_socket_server('vsock://any:any', $number, $text);
say($machine ? preg_match('/^any:\d+$/', stream_socket_get_name($machine, false)) : (int) ($number === 97));
