<?php
// Options of servers of TLS: certificates by name, encrypted keys, ciphers; and TLS that ends before
// the stream.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

/** Files with a certificate for a name and with its key, gone when the script is. */
function identity(string $common_name, ?string $passphrase = null, array $key = KEY): array
{
    $key = new_key($key);
    $request = openssl_csr_new(['commonName' => $common_name], $key);
    openssl_x509_export(openssl_csr_sign($request, null, $key, 1), $certificate);
    openssl_pkey_export($key, $secret, $passphrase);
    $files = [];
    foreach ([$certificate, $secret, $certificate . $secret] as $text) {
        $files[] = $file = tempnam(sys_get_temp_dir(), 'tls');
        file_put_contents($file, $text);
        $owner = getmypid();
        register_shutdown_function(fn () => $owner === getmypid() && unlink($file));
    }
    return $files;
}

/** What a client sees of a server: the name in its certificate, and the cipher where it is an old one. */
function seen(array $server_options, array $client_options): string
{
    $context = stream_context_create(['ssl' => $server_options]);
    $server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
    $name = stream_socket_get_name($server, false);
    $file = tempnam(sys_get_temp_dir(), 'tls');
    $child = beside(function () use ($name, $client_options, $file) {
        $context = careless($client_options + ['capture_peer_cert' => true]);
        $client = @stream_socket_client("tls://$name", $number, $text, 60, 4, $context);
        if ($client) {
            $certificate = stream_context_get_options($context)['ssl']['peer_certificate'];
            $crypto = stream_get_meta_data($client)['crypto'];
            $cipher = $crypto['protocol'] === 'TLSv1.2' ? ' ' . $crypto['cipher_name'] : '';
            file_put_contents($file, openssl_x509_parse($certificate)['subject']['CN'] . $cipher);
        } else {
            file_put_contents($file, 'refused');
        }
    });
    @stream_socket_accept($server, 60);
    pcntl_waitpid($child, $status);
    $seen = file_get_contents($file);
    unlink($file);
    return $seen;
}

$default = identity('default.test');
$one = identity('one.test');
$wild = identity('wild.test');
$by_name = [
    'local_cert' => $default[2],
    'SNI_server_certs' => [
        'one.test' => $one[2],
        '*.wild.test' => ['local_cert' => $wild[0], 'local_pk' => $wild[1]],
    ],
];
say('-- by name');
foreach (['one.test', 'any.wild.test', 'other.test'] as $name) {
    say(seen($by_name, ['peer_name' => $name]));
}
say(seen(['SNI_enabled' => false] + $by_name, ['peer_name' => 'one.test']));
say(seen(['SNI_server_certs' => 'no array'] + $by_name, []));

say('-- encrypted keys');
$locked = identity('locked.test', 'open sesame');
say(seen(['local_cert' => $locked[2], 'passphrase' => 'open sesame'], []));
say(seen(['local_cert' => $locked[0], 'local_pk' => $locked[1], 'passphrase' => 'open sesame'], []));

say('-- ciphers');
$file = identity('default.test', key: KEY_OF_RSA)[2];
foreach (['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256', 'AES256-GCM-SHA384'] as $list) {
    $old = ['max_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2];
    $options = ['local_cert' => $file, 'ciphers' => $list];
    say(seen($options, $old), seen($options, []));
}

say('-- the end of TLS before that of the stream');
$server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, serving());
$name = stream_socket_get_name($server, false);
$child = beside(function () use ($name) {
    $client = stream_socket_client("tls://$name", $number, $text, 60, 4, careless());
    fwrite($client, "in secret\n");
    fgets($client);
    stream_socket_enable_crypto($client, false);
    fgets($client);
    fwrite($client, "in plain\n");
    fgets($client);
});
$served = stream_socket_accept($server, 60);
say(fgets($served));
fwrite($served, "now off\n");
say(stream_socket_enable_crypto($served, false), isset(stream_get_meta_data($served)['crypto']));
fwrite($served, "go\n");
do {
    // On stock PHP what is left of TLS is ahead, and one of its bytes may be a line feed.
    $line = fgets($served);
} while ($line !== false && !str_ends_with($line, "in plain\n"));
say(substr((string) $line, -9));
fwrite($served, "end\n");
pcntl_waitpid($child, $status);
