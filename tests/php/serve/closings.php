<?php
// Streams that are closed while a Fiber waits for them: by other names of fclose, without a place
// to accept into, and by a child of the process.
require __DIR__ . '/../certificate.php';
error_reporting(0);

function listen(array $options = []): mixed
{
    $context = stream_context_create(['socket' => $options]);
    return stream_socket_server('tcp://127.0.0.1:0', $code, $text, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
}

function connect($server): mixed
{
    return stream_socket_client('tcp://' . stream_socket_get_name($server, false));
}

foreach (['fclose', 'gzclose', 'pclose'] as $close) {
    $server = listen();
    $client = connect($server);
    $reader = stream_socket_spawn(fn () => fread($client, 10));
    $closed = stream_socket_join(stream_socket_spawn(fn () => $close($client)));
    echo "$close: ", json_encode([stream_socket_join($reader), is_resource($client)]), "\n";
}

// A handler of errors, which may park, keeps the stream in whose operation it runs.
foreach (['by another' => true, 'by nobody else' => false] as $how => $closes) {
    $server = listen();
    $client = connect($server);
    $served = stream_socket_accept($server);
    set_error_handler(function () use ($served, $how) {
        usleep(1000);
        echo "closed $how: ", json_encode([is_resource($served), fclose($served)]), "\n";
    });
    $writer = stream_socket_spawn(fn () => fwrite($served, str_repeat('x', 1 << 24)) < 1 << 24);
    $closed = stream_socket_join(stream_socket_spawn(fn () => $closes ? fclose($served) : fclose($client)));
    echo json_encode([stream_socket_join($writer), $closed, is_resource($served)]), "\n";
    restore_error_handler();
}

// Two who are each in an operation of the stream that the other one closes don't wait for one another.
// Of progress a context is told once http has begun with it.
[$servers, $served] = [[listen(), listen()], []];
foreach ($servers as $index => $server) {
    $context = stream_context_create();
    stream_context_set_params($context, ['notification' => function (int $code) use (&$served, $index) {
        if ($code === STREAM_NOTIFY_PROGRESS && count($served) === 2) {
            usleep(1000);
            $closed = fclose($served[1 - $index]);
            echo 'crosswise: ', json_encode([$closed, $closed ? '' : error_get_last()['message']]), "\n";
        }
    }]);
    stream_socket_spawn(function () use ($server) {
        $client = stream_socket_accept($server);
        fwrite($client, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    $address = stream_socket_get_name($server, false);
    stream_socket_join(stream_socket_spawn('file_get_contents', "http://$address/", false, $context));
    $served[] = stream_socket_client("tcp://$address", $code, $text, 5, STREAM_CLIENT_CONNECT, $context);
}
$writers = array_map(fn ($stream) => stream_socket_spawn(fn () => fwrite($stream, 'x')), $served);
echo json_encode([array_map('stream_socket_join', $writers), array_map('is_resource', $served)]), "\n";

// A copy ends when either of its streams is closed.
foreach (['from', 'to'] as $which => $name) {
    $servers = [listen(), listen()];
    $streams = array_map('connect', $servers);
    $copying = stream_socket_spawn(fn () => stream_copy_to_stream(...$streams));
    $closed = stream_socket_join(stream_socket_spawn(function () use ($streams, $which) {
        usleep(1000);
        return fclose($streams[$which]);
    }));
    echo "a copy's $name: ", json_encode([stream_socket_join($copying), $closed, array_map('is_resource', $streams)]), "\n";
}

// Nor does it wait for itself, where a handler of its own errors closes what it copies from.
$servers = [listen(), listen()];
[$from, $to] = array_map('connect', $servers);
fclose(stream_socket_accept($servers[1]));
set_error_handler(function () use ($from) {
    echo "a copy's own handler: ", json_encode(fclose($from)), "\n";
    return true;
});
stream_socket_spawn(fn () => fwrite(stream_socket_accept($servers[0]), str_repeat('x', 1 << 18)));
echo json_encode([stream_socket_join(stream_socket_spawn(fn () => stream_copy_to_stream($from, $to))) < 1 << 18, is_resource($from)]), "\n";
restore_error_handler();

// A Fiber of a task's own may outlive it in a copy or a close, where a filter of the script's suspends it.
class Filter extends php_user_filter
{
    private string $kept = '';

    public function filter($in, $out, &$consumed, bool $closing): int
    {
        while ($bucket = stream_bucket_make_writeable($in)) {
            $consumed += $bucket->datalen;
            $this->kept .= $bucket->data;
        }
        if ($this->params && Fiber::getCurrent() && $closing === ($this->params === 'closing')) {
            Fiber::suspend();
        }
        if ($this->kept === '' || !$this->params && !$closing) {
            return PSFS_FEED_ME;
        }
        stream_bucket_append($out, stream_bucket_new($this->stream, $this->kept));
        $this->kept = '';
        return PSFS_PASS_ON;
    }
}
stream_filter_register('script', 'Filter');
$server = listen();
$pair = fn () => [connect($server), stream_socket_accept($server)];
foreach (['copying' => 'stream_copy_to_stream', 'closing' => fn ($from, $to) => fclose($to)] as $how => $does) {
    [[$from, $sender], [$to, $receiver], [$other]] = [$pair(), $pair(), $pair()];
    fwrite($sender, 'hello');
    fclose($sender);
    stream_filter_append($to, 'script', STREAM_FILTER_WRITE, $how);
    $inner = new Fiber(fn () => $does($from, $to));
    stream_socket_join(stream_socket_spawn(fn () => $inner->start()));
    $closer = stream_socket_spawn(fn () => [fclose($other), fclose($from)]);
    stream_socket_join(stream_socket_spawn(fn () => usleep(1000) || $inner->resume()));
    echo "outlives its task, $how: ", json_encode([stream_socket_join($closer), $inner->isTerminated(), $inner->getReturn()]), "\n";
}

// Of two copies in a task the one that ends first leaves the other one's streams as they are.
[[$from, $sender], [$to], [$silent, $peer], [$closed]] = [$pair(), $pair(), $pair(), $pair()];
fwrite($sender, 'hello');
fclose($sender);
stream_filter_append($to, 'script', STREAM_FILTER_WRITE, 'copying');
$inner = new Fiber(fn () => stream_copy_to_stream($from, $to));
$copying = stream_socket_spawn(fn () => [$inner->start(), stream_copy_to_stream($silent, $closed)]);
$closer = stream_socket_spawn(fn () => [usleep(1000), $inner->resume(), fclose($closed)]);
echo 'two copies: ', json_encode([stream_socket_join($closer), stream_socket_join($copying)]), "\n";

// Nor is there an end to the search for who waits for whom, where one who closes waits in a handler.
[[$failing], [$waited, $peer]] = [$pair(), $pair()];
stream_filter_append($failing, 'script', STREAM_FILTER_WRITE);
fwrite($failing, 'hello');
stream_socket_shutdown($failing, STREAM_SHUT_WR);
set_error_handler(function (int $level) use ($waited) {
    [$read, $none] = [[$waited], null];
    return $level !== E_NOTICE || !stream_select($read, $none, $none, 60);
});
$closers = array_map(fn ($stream) => stream_socket_spawn(fn () => fclose($stream)), [$failing, $waited]);
echo 'closed in the handler of a close: ', json_encode(array_map('stream_socket_join', $closers)), "\n";
restore_error_handler();

// Nor does a stream go under who opens it, where PHP's own resolver tells of what can't be a name.
set_error_handler(function (int $level, string $text) {
    $streams = get_resources('stream');
    return str_contains($text, 'Unable') || print('closed in its opening: ' . json_encode(fclose(end($streams))) . "\n");
});
stream_socket_join(stream_socket_spawn(fn () => stream_socket_client('tcp://' . str_repeat('a', 64) . ':80')));
restore_error_handler();

// What a filter still has is written, though others are woken; and nobody begins to read meanwhile.
$server = listen();
foreach (['hello', random_bytes(1 << 24)] as $index => $text) {
    $client = connect($server);
    $served = stream_socket_accept($server);
    stream_filter_append($client, 'zlib.deflate', STREAM_FILTER_WRITE, ['level' => 0]);
    $reader = stream_socket_spawn(fn () => fread($client, 10));
    $closer = stream_socket_spawn(function () use ($client, $text) {
        stream_set_timeout($client, 0, 10000);
        fwrite($client, $text);
        stream_set_timeout($client, 20);
        return fclose($client);
    });
    $late = stream_socket_spawn(function () use ($client, $index) {
        usleep($index * 200000);
        return is_resource($client) && fread($client, 10);
    });
    $read = [stream_socket_join($reader), stream_socket_join($late)];
    $received = stream_socket_join(stream_socket_spawn(fn () => stream_get_contents($served)));
    echo 'filtered: ', json_encode([stream_socket_join($closer), ...$read, $index || gzinflate($received) === $text]), "\n";
}

// Nor does accept lose its listener to a handler of a notice, in a Fiber or not.
function accept_by_openssl(): void
{
    $server = stream_socket_server('tls://127.0.0.1:0');
    $key = ['curve_name' => 'secp256k1', 'private_key_type' => OPENSSL_KEYTYPE_EC];
    stream_context_set_option($server, 'ssl', 'local_cert', certificate($key));
    set_error_handler(function (int $level) use ($server) {
        usleep(1000);
        return $level === E_NOTICE && fclose($server);
    });
    echo 'closed in accept: ', json_encode([stream_socket_accept($server, 0), is_resource($server)]), "\n";
    restore_error_handler();
}
accept_by_openssl();
stream_socket_join(stream_socket_spawn(accept_by_openssl(...)));

$server = listen(['max_connections' => 1]);
$clients = [connect($server), connect($server)];
$accepted = stream_socket_accept($server);
echo 'no place in time: ', json_encode(stream_socket_join(stream_socket_spawn(fn () => stream_socket_accept($server, 0.1)))), "\n";
$accepting = stream_socket_spawn(fn () => stream_socket_accept($server, 60));
stream_socket_join(stream_socket_spawn(function () use ($server) {
    usleep(1000);
    fclose($server);
}));
echo 'closed without a place: ', json_encode(stream_socket_join($accepting)), "\n";

// A select holds what it waits for, also streams of PHP's own and those that an array refers to.
$server = listen();
foreach (['ours' => connect($server), 'stock' => ($pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0))[0]] as $whose => $stream) {
    $selecting = stream_socket_spawn(function () use (&$stream) {
        [$read, $write, $except] = [[&$stream], null, null];
        return [stream_select($read, $write, $except, 60), error_get_last()['message'] ?? ''];
    });
    stream_socket_join(stream_socket_spawn(function () use (&$stream) {
        usleep(1000);
        fclose($stream);
    }));
    echo "$whose in a select: ", preg_replace('/max_fd=\d+/', 'max_fd=N', json_encode(stream_socket_join($selecting))), "\n";
}
$stream = connect($server);
$selecting = stream_socket_spawn(function () use (&$stream) {
    [$read, $write, $except] = [[&$stream], null, null];
    return stream_select($read, $write, $except, 0, 2000);
});
stream_socket_join(stream_socket_spawn(function () use (&$stream) {
    usleep(1000);
    $stream = null;
}));
echo 'let go of in a select: ', json_encode(stream_socket_join($selecting)), "\n";

// A task begins by itself.
$task = stream_socket_spawn(fn () => 'never');
try {
    $task->start();
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
try {
    stream_socket_join($task);
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}

$server = listen();
stream_socket_spawn(function () use ($server) {
    $child = pcntl_fork();
    if ($child === 0) {
        fclose($server);
        posix_kill(getmypid(), SIGTERM);
        sleep(60);
    }
    pcntl_waitpid($child, $status);
    $client = connect($server);
    stream_set_timeout($client, 10);
    echo 'a child has closed it: ', json_encode(fread($client, 10)), "\n";
    stream_socket_serve_stop();
});
stream_socket_serve($server, fn ($connection) => fwrite($connection, 'served'));

// After the request nothing begins: this stream is closed when all else is gone.
class Late
{
    public $context;

    function stream_open()
    {
        return true;
    }

    function stream_close()
    {
        try {
            stream_socket_spawn(fn () => print("too late\n"));
        } catch (Error $error) {
            file_put_contents('php://stdout', $error->getMessage() . "\n");
        }
    }
}
stream_wrapper_register('late', 'Late');
$kept = fopen('late://', 'r');
