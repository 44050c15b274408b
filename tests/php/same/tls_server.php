<?php
// Servers of TLS, which the extension serves, and clients, which are PHP's own.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

/** A server, its name, and the file that its clients trust. */
function server(string $transport, array $options = []): array
{
    $context = serving($options);
    $server = stream_socket_server("$transport://127.0.0.1:0", $number, $text, 12, $context);
    $file = stream_context_get_options($context)['ssl']['local_cert'];
    return [$server, stream_socket_get_name($server, false), $file];
}

function facts(mixed $stream): string
{
    $crypto = stream_get_meta_data($stream)['crypto'] ?? ['none'];
    unset($crypto['cipher_name'], $crypto['cipher_bits'], $crypto['session_reused']);
    return json_encode($crypto);
}

foreach (['tls', 'ssl', 'tlsv1.2', 'tlsv1.3'] as $transport) {
    say("-- $transport");
    [$server, $name, $file] = server($transport);
    $child = beside(function () use ($transport, $name, $file) {
        $client = stream_socket_client("$transport://$name", $number, $text, 60, 4, trusting($file));
        fwrite($client, "over $transport\n" . str_repeat('x', 200_000) . "\n");
        fgets($client);
        fclose($client);
    });
    $served = stream_socket_accept($server, 60, $peer);
    say(is_string($peer), stream_get_meta_data($served)['stream_type'], facts($served));
    say(fgets($served), strlen(stream_get_contents($served, 200_001)));
    say(fwrite($served, "end\n"), fread($served, 100), feof($served), fread($served, 100));
    say(stream_get_meta_data($served)['timed_out'], fclose($served));
    pcntl_waitpid($child, $status);
}

say('-- versions and names of protocols');
foreach ([
    [['crypto_method' => STREAM_CRYPTO_METHOD_TLSv1_2_SERVER], []],
    [['max_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2], []],
    [['min_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_3], []],
    [['alpn_protocols' => 'h2,http/1.1'], ['alpn_protocols' => 'http/1.1,h2']],
    [['alpn_protocols' => 'h2'], []],
    [['security_level' => 1], []],
    [[
        'ciphers' => 'AES128-SHA256',
        'max_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2,
        'local_cert' => certificate(KEY_OF_RSA),
    ], []],
] as [$options, $wishes]) {
    [$server, $name, $file] = server('tls', $options);
    $child = beside(function () use ($name, $file, $wishes) {
        $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file, $wishes));
        fgets($client);
    });
    $served = stream_socket_accept($server, 60);
    say(facts($served));
    fclose($served);
    pcntl_waitpid($child, $status);
}

say('-- no certificate, none that is one, and one that is told later');
$careless = fn (string $name) => beside(function () use ($name) {
    @stream_socket_client("tls://$name", $number, $text, 60, 4, careless());
});
$server = stream_socket_server('tls://127.0.0.1:0');
$child = $careless(stream_socket_get_name($server, false));
say(stream_socket_accept($server, 60));
pcntl_waitpid($child, $status);
$server = stream_socket_server('tls://127.0.0.1:0');
stream_context_set_option($server, 'ssl', 'local_cert', certificate());
$child = $careless(stream_socket_get_name($server, false));
say(is_resource(stream_socket_accept($server, 60)));
pcntl_waitpid($child, $status);

say('-- several connections at once, in a loop of select');
[$server, $name, $file] = server('tls');
$children = [];
for ($i = 0; $i < 5; $i++) {
    $children[] = beside(function () use ($name, $file, $i) {
        $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
        fwrite($client, str_repeat('abcdefghij', 10_000) . "$i\n");
        fgets($client);
    });
}
[$streams, $lengths] = [[], []];
while (count($lengths) < 5) {
    $read = [...$streams, $server];
    $write = $except = null;
    stream_select($read, $write, $except, 5);
    foreach ($read as $stream) {
        if ($stream === $server) {
            $streams[] = stream_socket_accept($server, 60);
            stream_set_blocking(end($streams), false);
            continue;
        }
        $key = array_search($stream, $streams, true);
        $got[$key] = ($got[$key] ?? '') . fread($stream, 100);
        if (str_ends_with($got[$key], "\n")) {
            $lengths[] = strlen($got[$key]);
            fwrite($stream, "thanks\n");
            unset($streams[$key]);
        }
    }
}
say($lengths);
foreach ($children as $child) {
    pcntl_waitpid($child, $status);
}

say('-- https');
[$server, $name, $file] = server('ssl');
$child = beside(function () use ($server) {
    for ($i = 0; $i < 2; $i++) {
        $served = stream_socket_accept($server, 60);
        while (rtrim(fgets($served)) !== '') {
        }
        fwrite($served, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello over https\n");
        fclose($served);
    }
});
$context = stream_context_create(['ssl' => ['cafile' => $file, 'peer_name' => 'localhost']]);
say(file_get_contents("https://$name/", false, $context));
$curl = curl_init("https://$name/");
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_SSL_VERIFYPEER => false, CURLOPT_SSL_VERIFYHOST => 0]);
say(curl_exec($curl));
pcntl_waitpid($child, $status);
