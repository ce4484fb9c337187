/*-------------------------------------------------------------------------
 *
 * ssh_lib.h
 *	  libssh2, loaded when the first store is opened that speaks SSH.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SSH_LIB_H
#define PGDR_SSH_LIB_H

#include <libssh2.h>
#include <libssh2_sftp.h>

#include "base/lazy.h"

#define SSH_FUNCTIONS(X)                     \
	X(libssh2_agent_connect)                 \
	X(libssh2_agent_disconnect)              \
	X(libssh2_agent_free)                    \
	X(libssh2_agent_get_identity)            \
	X(libssh2_agent_init)                    \
	X(libssh2_agent_list_identities)         \
	X(libssh2_agent_userauth)                \
	X(libssh2_channel_eof)                   \
	X(libssh2_init)                          \
	X(libssh2_keepalive_config)              \
	X(libssh2_keepalive_send)                \
	X(libssh2_knownhost_checkp)              \
	X(libssh2_knownhost_free)                \
	X(libssh2_knownhost_init)                \
	X(libssh2_knownhost_readline)            \
	X(libssh2_session_banner_get)            \
	X(libssh2_session_block_directions)      \
	X(libssh2_session_callback_set)          \
	X(libssh2_session_disconnect_ex)         \
	X(libssh2_session_free)                  \
	X(libssh2_session_handshake)             \
	X(libssh2_session_hostkey)               \
	X(libssh2_session_init_ex)               \
	X(libssh2_session_last_errno)            \
	X(libssh2_session_last_error)            \
	X(libssh2_session_method_pref)           \
	X(libssh2_session_set_blocking)          \
	X(libssh2_sftp_close_handle)             \
	X(libssh2_sftp_fstat_ex)                 \
	X(libssh2_sftp_fsync)                    \
	X(libssh2_sftp_get_channel)              \
	X(libssh2_sftp_init)                     \
	X(libssh2_sftp_last_error)               \
	X(libssh2_sftp_mkdir_ex)                 \
	X(libssh2_sftp_open_ex)                  \
	X(libssh2_sftp_read)                     \
	X(libssh2_sftp_readdir_ex)               \
	X(libssh2_sftp_rename_ex)                \
	X(libssh2_sftp_rmdir_ex)                 \
	X(libssh2_sftp_seek64)                   \
	X(libssh2_sftp_shutdown)                 \
	X(libssh2_sftp_stat_ex)                  \
	X(libssh2_sftp_statvfs)                  \
	X(libssh2_sftp_unlink_ex)                \
	X(libssh2_sftp_write)                    \
	X(libssh2_userauth_publickey_frommemory) \
	X(libssh2_version)

typedef struct SshLib
{
	SSH_FUNCTIONS(LAZY_MEMBER)
} SshLib;

extern SshLib ssh_lib;

/* Before anything else is called. */
extern bool ssh_load(Error *err);

#define libssh2_agent_connect ssh_lib.libssh2_agent_connect_
#define libssh2_agent_disconnect ssh_lib.libssh2_agent_disconnect_
#define libssh2_agent_free ssh_lib.libssh2_agent_free_
#define libssh2_agent_get_identity ssh_lib.libssh2_agent_get_identity_
#define libssh2_agent_init ssh_lib.libssh2_agent_init_
#define libssh2_agent_list_identities ssh_lib.libssh2_agent_list_identities_
#define libssh2_agent_userauth ssh_lib.libssh2_agent_userauth_
#define libssh2_channel_eof ssh_lib.libssh2_channel_eof_
#define libssh2_init ssh_lib.libssh2_init_
#define libssh2_keepalive_config ssh_lib.libssh2_keepalive_config_
#define libssh2_keepalive_send ssh_lib.libssh2_keepalive_send_
#define libssh2_knownhost_checkp ssh_lib.libssh2_knownhost_checkp_
#define libssh2_knownhost_free ssh_lib.libssh2_knownhost_free_
#define libssh2_knownhost_init ssh_lib.libssh2_knownhost_init_
#define libssh2_knownhost_readline ssh_lib.libssh2_knownhost_readline_
#define libssh2_session_banner_get ssh_lib.libssh2_session_banner_get_
#define libssh2_session_block_directions \
	ssh_lib.libssh2_session_block_directions_
#define libssh2_session_callback_set ssh_lib.libssh2_session_callback_set_
#define libssh2_session_disconnect_ex ssh_lib.libssh2_session_disconnect_ex_
#define libssh2_session_free ssh_lib.libssh2_session_free_
#define libssh2_session_handshake ssh_lib.libssh2_session_handshake_
#define libssh2_session_hostkey ssh_lib.libssh2_session_hostkey_
#define libssh2_session_init_ex ssh_lib.libssh2_session_init_ex_
#define libssh2_session_last_errno ssh_lib.libssh2_session_last_errno_
#define libssh2_session_last_error ssh_lib.libssh2_session_last_error_
#define libssh2_session_method_pref ssh_lib.libssh2_session_method_pref_
#define libssh2_session_set_blocking ssh_lib.libssh2_session_set_blocking_
#define libssh2_sftp_close_handle ssh_lib.libssh2_sftp_close_handle_
#define libssh2_sftp_fstat_ex ssh_lib.libssh2_sftp_fstat_ex_
#define libssh2_sftp_fsync ssh_lib.libssh2_sftp_fsync_
#define libssh2_sftp_get_channel ssh_lib.libssh2_sftp_get_channel_
#define libssh2_sftp_init ssh_lib.libssh2_sftp_init_
#define libssh2_sftp_last_error ssh_lib.libssh2_sftp_last_error_
#define libssh2_sftp_mkdir_ex ssh_lib.libssh2_sftp_mkdir_ex_
#define libssh2_sftp_open_ex ssh_lib.libssh2_sftp_open_ex_
#define libssh2_sftp_read ssh_lib.libssh2_sftp_read_
#define libssh2_sftp_readdir_ex ssh_lib.libssh2_sftp_readdir_ex_
#define libssh2_sftp_rename_ex ssh_lib.libssh2_sftp_rename_ex_
#define libssh2_sftp_rmdir_ex ssh_lib.libssh2_sftp_rmdir_ex_
#define libssh2_sftp_seek64 ssh_lib.libssh2_sftp_seek64_
#define libssh2_sftp_shutdown ssh_lib.libssh2_sftp_shutdown_
#define libssh2_sftp_stat_ex ssh_lib.libssh2_sftp_stat_ex_
#define libssh2_sftp_statvfs ssh_lib.libssh2_sftp_statvfs_
#define libssh2_sftp_unlink_ex ssh_lib.libssh2_sftp_unlink_ex_
#define libssh2_sftp_write ssh_lib.libssh2_sftp_write_
#define libssh2_userauth_publickey_frommemory \
	ssh_lib.libssh2_userauth_publickey_frommemory_
#define libssh2_version ssh_lib.libssh2_version_

#endif
