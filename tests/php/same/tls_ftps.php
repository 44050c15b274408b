<?php
// The ftps wrapper, from a server that begins TLS on both of its connections.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

/** Speaks as much FTP as a download needs. */
function serve_file(mixed $server, mixed $context): void
{
    $control = stream_socket_accept($server, 60);
    $tell = fn (string $line) => fwrite($control, "$line\r\n");
    $data = null;
    $tell('220 ready');
    while (($line = fgets($control)) !== false) {
        [$word, $rest] = explode(' ', rtrim($line) . ' ', 2);
        switch ($word) {
            case 'AUTH':
                $tell('234 go ahead');
                if (!stream_socket_enable_crypto($control, true, STREAM_CRYPTO_METHOD_TLS_SERVER)) {
                    return;
                }
                break;
            case 'PASS':
                $tell('230 welcome');
                break;
            case 'SIZE':
                $tell('213 100000');
                break;
            case 'EPSV':
                $data = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
                $port = explode(':', stream_socket_get_name($data, false))[1];
                $tell("229 entering (|||$port|)");
                break;
            case 'RETR':
                $tell('150 here it comes');
                $file = stream_socket_accept($data, 60);
                stream_socket_enable_crypto($file, true, STREAM_CRYPTO_METHOD_TLS_SERVER);
                fwrite($file, str_repeat('0123456789', 10_000));
                fclose($file);
                $tell('226 done');
                break;
            case 'QUIT':
                $tell('221 bye');
                return;
            default:
                $tell($word === 'USER' ? '331 and the password' : '200 ok');
        }
    }
}

$context = serving();
$server = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$child = beside(fn () => serve_file($server, $context));
$name = stream_socket_get_name($server, false);
$text = file_get_contents("ftps://user:password@$name/file", false, careless());
say(strlen($text), md5($text) === md5(str_repeat('0123456789', 10_000)));
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);
