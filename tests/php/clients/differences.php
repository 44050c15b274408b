<?php
// Where clients of TLS by the library are other than those by ext/openssl.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$root = issue('Root');
$site = issue('site.test', $root, 'usr_cert');
$old = ['max_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2];
$trusted = ['cafile' => holding($root['text'])];

/** The URL of a server that is ended with the script. */
function serve(array $identity, array $options = []): string
{
    $context = stream_context_create(['ssl' => $options + ['local_cert' => $identity['file']]]);
    $server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
    $child = beside(function () use ($server) {
        while (true) {
            $served = @stream_socket_accept($server, 10);
            if ($served) {
                fgets($served);
            }
        }
    });
    register_shutdown_function(fn () => posix_kill($child, SIGKILL) && pcntl_waitpid($child, $status));
    return 'tls://' . stream_socket_get_name($server, false);
}

function meeting(string $url, array $options, ?string &$text = null): mixed
{
    $options += ['peer_name' => 'site.test'];
    return stream_socket_client($url, $number, $text, 60, 4, stream_context_create(['ssl' => $options]));
}

say('what is said of a certificate that is not trusted, and of one for another name');
$url = serve($site);
say(meeting($url, [], $text), $text);
say(meeting($url, ['peer_name' => 'other.test'] + $trusted, $text), $text);

say('a certificate that was refused for its name');
$context = stream_context_create(['ssl' => ['capture_peer_cert' => true] + $trusted]);
@stream_socket_client($url, $number, $text, 60, 4, $context);
say(isset(stream_context_get_options($context)['ssl']['peer_certificate']));

say('suites of old');
say(is_resource(@meeting(serve($site, $old + ['ciphers' => 'ECDHE-ECDSA-AES128-SHA']), $trusted)));

say('an authority that serves');
say(is_resource(@meeting(serve(issue('site.test', $root)), $trusted)));

say('a site that is trusted by its certificate alone');
say(is_resource(@meeting($url, ['cafile' => $site['file']])));

say('a session');
$url = serve($site, $old);
foreach ([1, 2] as $connection) {
    $client = meeting($url, $trusted);
    say(stream_get_meta_data($client)['crypto']['session_reused'] ?? 'not told');
    fwrite($client, "bye\n");
    fclose($client);
}

say('bytes ahead of STARTTLS');
[$client, $served] = connected();
fwrite($served, "go ahead\nand believe this\n");
say(fgets($client));
stream_set_blocking($client, false);
stream_set_blocking($served, false);
stream_context_set_params($client, ['options' => ['ssl' => $trusted + ['peer_name' => 'site.test']]]);
stream_context_set_params($served, ['options' => ['ssl' => ['local_cert' => $site['file']]]]);
for ($i = 0, $began = $answered = 0; $i < 1000 && $began === 0; $i++) {
    $began = stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    $answered = $answered === 0 ? @stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER) : $answered;
    usleep(1000);
}
say($began);
