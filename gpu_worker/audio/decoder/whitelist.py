"""The containers and codecs with which FFmpeg may read a stranger's file.

All formats that hold sound in one file are here. The others, and the reasons, are named in
`tests/unit/gpu_worker/audio/decoder/test_whitelist.py`: formats that open other files or the
network, devices, pictures, subtitles, samples without a header, and codecs that make sound out of
nothing. The lists are written out and not made from the library, so that each format that a newer
FFmpeg adds is checked first; that test fails until it is listed on one side.

FFmpeg finds out the format by the file's content before it asks for these lists: a longer list
never makes it take one format for another. Everything runs in the bounds of `sandbox.py`.
"""

# FFmpeg's names of demuxers, as its option `format_whitelist` takes them.
CONTAINERS = (
    # recordings, films and broadcasts
    "wav,w64,aiff,caf,au,voc,nistsphere,flac,mp3,aac,loas,ac3,eac3,dts,dtshd,truehd,mlp,ogg,mov,"
    "matroska,asf,asf_o,xwma,amr,amrnb,amrwb,ape,wv,tta,tak,mpc,mpc8,dsf,wsd,iff,avi,flv,kux,"
    "live_flv,mpegts,mpeg,mxf,gxf,wtv,nut,nuv,nsv,rm,ivr,dv,lxf,pva,ty,pmp,swf,iamf,spdif,s337m,"
    "qoa,osq,bonk,shn,rka,oma,aea,apac,hca,vqf,mmf,act,dss,g723_1,gsm,ilbc,qcp,wve,sox,ircam,avr,"
    "paf,epaf,pvf,nsp,sds,sdx,hcom,laf,wavarc,vivo,r3d,aa,bit,"
    # of surveillance cameras
    "dhav,luodat,hxvs,ifv,lvf,mxg,nc,msnwctcp,"
    # of games and their discs
    "3dostr,4xm,aax,ace,acm,adp,ads,adx,afc,aix,alp,apc,apm,argo_asf,argo_brp,argo_cvg,ast,avs,"
    "bethsoftvid,bfi,bfstm,bink,binka,bmv,boa,brstm,c93,cdxl,dcstr,derf,dsicin,dxa,ea,ea_cdata,"
    "film_cpk,fsb,fwse,gdv,genh,hnm,idcin,ipmovie,iss,jv,kvag,lmlm4,mca,mgsts,mm,mods,moflex,msf,"
    "mtaf,mtv,musx,mv,mvi,pp_bnk,psxstr,redspark,rl2,roq,rpl,rsd,rso,scd,sdns,sdr2,sga,siff,"
    "simbiosis_imx,smjpeg,smk,smush,sol,svag,svs,thp,tmv,txd,usm,vag,vividas,vmd,vpk,wady,"
    "wc3movie,wsaud,wsvqa,xa,xmd,xmv,xvag,yop"
)
# FFmpeg's names of audio decoders, for `codec_whitelist`. A video decoder is never started, not
# even to probe.
CODECS = (
    "8svx_exp,8svx_fib,aac,aac_latm,ac3,acelp.kelvin,adpcm_4xm,adpcm_adx,adpcm_afc,adpcm_agm,"
    "adpcm_aica,adpcm_argo,adpcm_ct,adpcm_dtk,adpcm_ea,adpcm_ea_maxis_xa,adpcm_ea_r1,adpcm_ea_r2,"
    "adpcm_ea_r3,adpcm_ea_xas,adpcm_ima_acorn,adpcm_ima_alp,adpcm_ima_amv,adpcm_ima_apc,"
    "adpcm_ima_apm,adpcm_ima_cunning,adpcm_ima_dat4,adpcm_ima_dk3,adpcm_ima_dk4,"
    "adpcm_ima_ea_eacs,adpcm_ima_ea_sead,adpcm_ima_iss,adpcm_ima_moflex,adpcm_ima_mtf,"
    "adpcm_ima_oki,adpcm_ima_qt,adpcm_ima_rad,adpcm_ima_smjpeg,adpcm_ima_ssi,adpcm_ima_wav,"
    "adpcm_ima_ws,adpcm_ima_xbox,adpcm_ms,adpcm_mtaf,adpcm_psx,adpcm_sanyo,adpcm_sbpro_2,"
    "adpcm_sbpro_3,adpcm_sbpro_4,adpcm_swf,adpcm_thp,adpcm_thp_le,adpcm_vima,adpcm_xa,adpcm_xmd,"
    "adpcm_yamaha,adpcm_zork,alac,als,amrnb,amrwb,apac,ape,aptx,aptx_hd,atrac1,atrac3,atrac3al,"
    "atrac3plus,atrac3plusal,atrac9,binkaudio_dct,binkaudio_rdft,bmv_audio,bonk,cbd2_dpcm,cook,"
    "dca,derf_dpcm,dfpwm,dolby_e,dsd_lsbf,dsd_lsbf_planar,dsd_msbf,dsd_msbf_planar,dsicinaudio,"
    "dss_sp,dst,dvaudio,eac3,evrc,fastaudio,flac,ftr,g722,g723_1,g726,g726le,g728,g729,"
    "gremlin_dpcm,gsm,gsm_ms,hca,hcom,iac,ilbc,imc,interplay_dpcm,interplayacm,libgsm,"
    "libopencore_amrnb,libopencore_amrwb,libopus,libspeex,libvorbis,mace3,mace6,metasound,misc4,"
    "mlp,mp1,mp1float,mp2,mp2float,mp3,mp3adu,mp3adufloat,mp3float,mp3on4,mp3on4float,mpc7,mpc8,"
    "msnsiren,nellymoser,on2avc,opus,osq,paf_audio,pcm_alaw,pcm_bluray,pcm_dvd,pcm_f16le,"
    "pcm_f24le,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_lxf,pcm_mulaw,pcm_s16be,"
    "pcm_s16be_planar,pcm_s16le,pcm_s16le_planar,pcm_s24be,pcm_s24daud,pcm_s24le,"
    "pcm_s24le_planar,pcm_s32be,pcm_s32le,pcm_s32le_planar,pcm_s64be,pcm_s64le,pcm_s8,"
    "pcm_s8_planar,pcm_sga,pcm_u16be,pcm_u16le,pcm_u24be,pcm_u24le,pcm_u32be,pcm_u32le,pcm_u8,"
    "pcm_vidc,qcelp,qdm2,qdmc,qoa,ralf,real_144,real_288,rka,roq_dpcm,s302m,sbc,sdx2_dpcm,"
    "shorten,sipr,siren,smackaud,sol_dpcm,speex,tak,truehd,truespeech,tta,twinvq,vmdaudio,vorbis,"
    "wady_dpcm,wavarc,wavpack,wmalossless,wmapro,wmav1,wmav2,wmavoice,ws_snd1,xan_dpcm,xma1,xma2"
)
